import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

/** Where to listen. */
export interface Address {
  /** A host name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  /** 0 to 65535; 0 = any free port. */
  readonly port: number;
}

/** "host:port" of a socket, with an IPv6 address in brackets. */
export function hostPort({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The largest TCP port. */
export const MAX_PORT = 65_535;

/** The form of a port, for messages. */
export const PORT_FORMAT = "expected a port from 0 to 65535";

/** The form that {@link parseAddress} takes, for messages. */
export const ADDRESS_FORMAT = '"host:port", "[ipv6]:port" or ":port", with a port from 0 to 65535';

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Whether a host is loopback by its name or its address in any spelling, without a look at DNS. An
 * IPv6 address has no brackets. An IPv4 address may be written as IPv6 (RFC 4291 section 2.5.5.2).
 */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0
    ? host.toLowerCase() === "localhost"
    : LOOPBACK.check(host, version === 4 ? "ipv4" : "ipv6");
}

/** The host of a URL, an IPv6 address without its brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]{0,252})$/i;
const DOTTED_NUMBERS = /^[\d.]+$/;

/**
 * Parses "host:port", "[::1]:port" or ":port". The last one means every IPv4 interface, like
 * 0.0.0.0 ("[::]:port" adds IPv6 if the machine has it). `undefined` = anything else.
 */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[(?<ipv6>[^\]]*)\]|(?<name>[^:]*)):(?<port>\d{1,5})$/.exec(text);
  if (match === null) {
    return undefined;
  }
  const { ipv6, name, port: digits } = match.groups ?? {};
  const port = Number(digits);
  if (port > MAX_PORT) {
    return undefined;
  }
  if (ipv6 !== undefined) {
    return isIPv6(ipv6) ? { host: ipv6, port } : undefined;
  }
  if (name === undefined || name === "") {
    return { host: "0.0.0.0", port };
  }
  const valid = DOTTED_NUMBERS.test(name) ? isIPv4(name) : HOST_NAME.test(name);
  return valid ? { host: name, port } : undefined;
}
