/** The parts of a page's address that are needed here: a part of `Location`. */
interface PageAddress {
  /** With its colon, as `https:`. */
  readonly protocol: string;
  readonly hostname: string;
}

/** What a program listens on that listens everywhere. Nobody can connect to these. */
const ANYWHERE = ["0.0.0.0", "[::]"];

/**
 * The URL of a port that listens at `address` (host:port). One that listens everywhere is reached
 * as the page is. The protocol is the page's: the gateway does not tell another.
 */
export function urlOf(address: string, { protocol, hostname }: PageAddress): string {
  const [, host = "", port = ""] = /^(.*):(\d+)$/.exec(address) ?? [];
  return `${protocol}//${ANYWHERE.includes(host) || host === "" ? hostname : host}:${port}`;
}
