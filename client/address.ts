import { describe } from "./convert.ts";

/** The gateway's port if an address names none. */
const DEFAULT_PORT = 8980;

/**
 * The base URL of an address. The address is `host:port` or `host` (port 8980), without TLS unless
 * `secure`, or a whole `http://` or `https://` URL. IPv6 addresses stand in brackets. Throws
 * TypeError for anything else.
 */
export function parseAddress(address: unknown, secure: boolean): string {
  if (typeof address !== "string") {
    throw new TypeError(`an address must be a string, not ${describe(address)}`);
  }
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

/**
 * The base URL for a browser: a whole `http://` or `https://` URL, or a path that begins with "/"
 * at the page's own origin. Throws TypeError for anything else.
 */
export function parseBaseUrl(baseUrl: unknown, origin: string | undefined): string {
  if (typeof baseUrl === "string") {
    const whole = baseUrl.startsWith("/") && origin !== undefined ? origin + baseUrl : baseUrl;
    if (/^https?:\/\//i.test(whole)) {
      return parseAddress(whole, false);
    }
  }
  const given = typeof baseUrl === "string" ? `"${baseUrl}"` : describe(baseUrl);
  throw new TypeError(`not a URL: ${given}; give http://host:port or https://host:port`);
}

function invalid(address: string): TypeError {
  return new TypeError(`not an address: "${address}"; give host:port, http://host:port or https://host:port`);
}
