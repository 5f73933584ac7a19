import { hostOf, isLoopback } from "./config/address.ts";
import { PrismError } from "./errors.ts";

/** Which hosts a port answers to. */
export interface HostRule {
  /** The host that it listens on. */
  readonly listenHost: string;
  /** The names that the operator gave; "*" = all. `undefined` = none were given. */
  readonly hosts: "*" | readonly string[] | undefined;
  /** The setting that has them, for messages. */
  readonly setting: string;
}

/** The refusal of a request with this host, which is well-formed. `undefined` = it is answered. */
export type HostCheck = (host: string) => PrismError | undefined;

/** The most characters of a host that a message has. */
const MAX_NAMED = 100;

/**
 * Makes the check of a port's requests. A page of any site can give its own name the address
 * 127.0.0.1 and then call what listens there, as if it were its own server (DNS rebinding). The
 * browser sends that name as the host. So a port on loopback answers to the names of loopback and
 * to those of `hosts` only; elsewhere it answers to all, unless `hosts` are given. `undefined` = it
 * answers to all.
 */
export function createHostCheck({ listenHost, hosts, setting }: HostRule): HostCheck | undefined {
  if (hosts === "*" || (hosts === undefined && !isLoopback(listenHost))) {
    return undefined;
  }
  const names = new Set(hosts?.map(nameOf));
  return (host) => {
    const name = nameOf(host);
    return isLoopback(name) || names.has(name) ? undefined : refusal(host, setting);
  };
}

/** The host in its one form, without its port and brackets. "" = it is malformed. */
function nameOf(host: string): string {
  const url = `http://${host}`;
  return URL.canParse(url) ? hostOf(new URL(url)) : "";
}

function refusal(host: string, setting: string): PrismError {
  const name = JSON.stringify(host.slice(0, MAX_NAMED));
  return new PrismError(
    "permission_denied",
    `the host ${name} is not answered here; ${setting} in the configuration has the names that are`,
  );
}
