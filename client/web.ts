import type { Transport } from "@connectrpc/connect";
import { parseBaseUrl } from "./address.ts";
import {
  PrismClient as AnyPrismClient,
  CLIENT_OPTIONS,
  isTransport,
  type OverTransportOptions,
  type PrismClientOptions,
} from "./client.ts";
import { createFetchTransport } from "./fetch.ts";

export * from "./api.ts";

/**
 * A client of a Prism gateway for browsers and everything else that has `fetch`. It uses the
 * Connect protocol with binary messages. A gateway of another origin must allow the page's origin
 * in its CORS settings.
 *
 * ```ts
 * import { PrismClient } from "prism-client/web";
 *
 * const client = new PrismClient("https://prism.example.com");
 * await client.keyvalue.set("greeting", "hello");
 * ```
 */
export class PrismClient extends AnyPrismClient {
  /**
   * `target` is a URL with `http:` or `https:`, a path of the page's origin (default: that origin),
   * or a Connect transport. Throws TypeError for anything else; without a page also for a path and
   * for the default. Throws `invalid_field` for an unknown option.
   */
  constructor(target: Transport, options?: OverTransportOptions);
  constructor(target?: string, options?: PrismClientOptions);
  constructor(target: string | Transport = pageOrigin(), options: PrismClientOptions = {}) {
    if (isTransport(target)) {
      super(target, options);
      return;
    }
    const baseUrl = parseBaseUrl(target, location()?.origin);
    const transport = createFetchTransport(baseUrl, options?.interceptors ?? []);
    super(transport, options, CLIENT_OPTIONS);
  }
}

function location(): { readonly origin: string } | undefined {
  return (globalThis as { readonly location?: { readonly origin: string } }).location;
}

function pageOrigin(): string {
  const page = location();
  if (page === undefined) {
    throw new TypeError("there is no page to take the gateway's URL from: give it");
  }
  return page.origin;
}
