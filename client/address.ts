/** Where a gateway listens unless it is told otherwise. */
const DEFAULT_PORT = 8980;

/**
 * The base URL of an address: `host:port` or `host` (port 8980), without TLS unless `secure`, or a whole
 * `http://` or `https://` URL. IPv6 addresses stand in brackets. Throws TypeError for anything else.
 */
export function parseAddress(address: string, secure: boolean): string {
  const whole = /^(https?):\/\//i.exec(address);
  if (whole === null) {
    const url = URL.parse(`${secure ? "https" : "http"}://${address}`);
    if (url === null || !/^(\[[^\]]+\]|[^:/?#@]+)(:\d+)?$/.test(address)) {
      throw invalid(address);
    }
    return /:\d+$/.test(address) ? url.origin : `${url.origin}:${DEFAULT_PORT}`;
  }
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.search !== "" || url.hash !== "") {
    throw invalid(address);
  }
  if (secure && url.protocol === "http:") {
    throw new TypeError(`the address ${address} is without TLS, and the tls option asks for it`);
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function invalid(address: string): TypeError {
  return new TypeError(`not an address: "${address}"; give host:port, http://host:port or https://host:port`);
}
