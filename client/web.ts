import { createConnectTransport } from "@connectrpc/connect-web";
import { PrismClient as AnyPrismClient, type PrismClientOptions } from "./client.ts";

export * from "./api.ts";

/**
 * A client of a Prism gateway for browsers, and for whatever else has `fetch`: the Connect protocol, with
 * binary messages. A gateway of another origin must allow the page's in its CORS settings.
 *
 * ```ts
 * import { PrismClient } from "prism-gateway/web";
 *
 * await using client = new PrismClient("https://prism.example.com");
 * await client.keyvalue.set("greeting", "hello");
 * ```
 */
export class PrismClient extends AnyPrismClient {
  /** `baseUrl`: default, the origin of the page. Throws TypeError where there is neither. */
  constructor(baseUrl: string = pageOrigin(), options: PrismClientOptions = {}) {
    super(createConnectTransport({ baseUrl, useBinaryFormat: true }), options);
  }
}

function pageOrigin(): string {
  const { location } = globalThis as { readonly location?: { readonly origin: string } };
  if (location === undefined) {
    throw new TypeError("there is no page to take the gateway's URL from: give it");
  }
  return location.origin;
}
