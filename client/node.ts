import type { SecureContextOptions } from "node:tls";
import { parseAddress } from "./address.ts";
import { PrismClient as AnyPrismClient, type PrismClientOptions } from "./client.ts";
import { createGrpcTransport, type GrpcTransport } from "./transport/transport.ts";

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
  /** Speak TLS, with these certificates or, if `true`, as Node does by default. An `https://` address does so too. */
  readonly tls?: TlsOptions | boolean | undefined;
}

/**
 * A client of a Prism gateway for Node: gRPC over an HTTP/2 connection that all its calls share, which is made when the first
 * call needs it and does not keep the process alive while no call is running.
 *
 * ```ts
 * import { PrismClient } from "prism-gateway";
 *
 * await using client = new PrismClient("localhost:8980");
 * await client.keyvalue.set("greeting", "hello");
 * ```
 */
export class PrismClient extends AnyPrismClient {
  readonly #transport: GrpcTransport;

  /**
   * `address` is `host:port`, `host` (port 8980), or a URL with `http:` or `https:`. Throws TypeError for anything
   * else. Whether a gateway answers there, the first call tells.
   */
  constructor(address: string, options: NodePrismClientOptions = {}) {
    const { tls = false } = options;
    const transport = createGrpcTransport({
      baseUrl: parseAddress(address, tls !== false),
      tls: typeof tls === "boolean" ? undefined : { ...tls },
    });
    super(transport, options);
    this.#transport = transport;
  }

  /** As in every client, and ends the connections. */
  override async close(): Promise<void> {
    await super.close();
    this.#transport.close();
  }
}
