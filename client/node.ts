import type { SecureContextOptions } from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { parseAddress } from "./address.ts";
import {
  PrismClient as AnyPrismClient,
  CLIENT_OPTIONS,
  isTransport,
  type OverTransportOptions,
  type PrismClientOptions,
} from "./client.ts";
import { createGrpcTransport } from "./transport/transport.ts";

export * from "./api.ts";
export {
  createGrpcTransport,
  type GrpcTransport,
  type GrpcTransportOptions,
} from "./transport/transport.ts";

/** How to check the gateway's certificate, and which one to show it. PEM, as in node:tls. */
export interface TlsOptions {
  /** Authorities that may sign the gateway's certificate, instead of the well-known ones. */
  readonly ca?: SecureContextOptions["ca"];
  /** The client's certificate chain, where the gateway asks for one. */
  readonly cert?: SecureContextOptions["cert"];
  /** The private key of `cert`. */
  readonly key?: SecureContextOptions["key"];
  /** The name that the certificate must have, where it is not that of the address. */
  readonly servername?: string;
}

/** What a client for Node can be given. */
export interface NodePrismClientOptions extends PrismClientOptions {
  /**
   * Speak TLS, with these certificates or, if `true`, as Node does by default. An `https://`
   * address does so too.
   */
  readonly tls?: TlsOptions | boolean | undefined;
}

const NODE_OPTIONS = {
  ...CLIENT_OPTIONS,
  tls: true,
} as const satisfies Record<keyof NodePrismClientOptions, true>;

/**
 * A client of a Prism gateway for Node: gRPC over an HTTP/2 connection that all its calls share,
 * which is made when the first call needs it and does not keep the process alive while no call is
 * running.
 *
 * ```ts
 * import { PrismClient } from "prism-client";
 *
 * const client = new PrismClient("localhost:8980");
 * await client.keyvalue.set("greeting", "hello");
 * await client.close(); // or `await using client`, from Node 24 on
 * ```
 */
export class PrismClient extends AnyPrismClient {
  /** Ends the connections that the client has made itself. */
  readonly #closeTransport: () => void;

  /**
   * `target` is `host:port`, `host` (port 8980), or a URL with `http:` or `https:`; or a Connect
   * transport, whose connections are the caller's to close. Throws TypeError for anything else, and
   * `invalid_field` for an option that is none. Whether a gateway answers there, the first call
   * tells.
   */
  constructor(target: Transport, options?: OverTransportOptions);
  constructor(target: string, options?: NodePrismClientOptions);
  constructor(target: string | Transport, options: NodePrismClientOptions = {}) {
    if (isTransport(target)) {
      super(target, options);
      this.#closeTransport = () => {};
      return;
    }
    const { tls = false, interceptors } = options ?? {};
    const transport = createGrpcTransport({
      baseUrl: parseAddress(target, tls !== false),
      tls: typeof tls === "boolean" ? undefined : { ...tls },
      interceptors,
    });
    super(transport, options, NODE_OPTIONS);
    this.#closeTransport = () => transport.close();
  }

  /** As in every client, and ends the connections. */
  override async close(): Promise<void> {
    await super.close();
    this.#closeTransport();
  }
}
