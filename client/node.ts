import { tracingChannel } from "node:diagnostics_channel";
import type { SecureContextOptions } from "node:tls";
import type { Transport } from "@connectrpc/connect";
import { parseAddress } from "./address.ts";
import type { CallEvent } from "./call.ts";
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

/** How to check the gateway's certificate, and which certificate to show. PEM, as in node:tls. */
export interface TlsOptions {
  /** Authorities that may sign the gateway's certificate, instead of the well-known ones. */
  readonly ca?: SecureContextOptions["ca"];
  /** The client's certificate chain, if the gateway asks for one. */
  readonly cert?: SecureContextOptions["cert"];
  /** The private key of `cert`. */
  readonly key?: SecureContextOptions["key"];
  /** The name in the gateway's certificate, if it differs from the address. */
  readonly servername?: string;
}

/** The options of a client for Node. */
export interface NodePrismClientOptions extends PrismClientOptions {
  /**
   * Use TLS, with these certificates; `true` = with Node's defaults. An `https://` address uses TLS
   * too.
   */
  readonly tls?: TlsOptions | boolean | undefined;
}

const NODE_OPTIONS = {
  ...CLIENT_OPTIONS,
  tls: true,
} as const satisfies Record<keyof NodePrismClientOptions, true>;

/** Tells tracers of calls: see {@link PrismClient}. */
const CALLS = tracingChannel<CallEvent, CallEvent>("prism.client.call");

/**
 * A client of a Prism gateway for Node. It uses gRPC over one HTTP/2 connection for all its calls.
 * The first call makes the connection, which keeps the process alive only while a call runs.
 *
 * ```ts
 * import { PrismClient } from "prism-client";
 *
 * const client = new PrismClient("localhost:8980");
 * await client.keyvalue.set("greeting", "hello");
 * await client.close(); // or `await using client`, from Node 24 on
 * ```
 *
 * It tells subscribers of node:diagnostics_channel's tracing channel `prism.client.call` of each
 * call, with a {@link CallEvent}; without subscribers that costs nothing. A call that is made again
 * is one call; a stream is one from its first read to its end.
 */
export class PrismClient extends AnyPrismClient {
  /** Ends the connections that the client itself made. */
  readonly #closeTransport: () => void;

  /**
   * `target` is `host:port`, `host` (port 8980), a URL with `http:` or `https:`, or a Connect
   * transport, whose connections the caller closes. Throws TypeError for anything else, and
   * `invalid_field` for an unknown option. The first call tells whether a gateway answers there.
   */
  constructor(target: Transport, options?: OverTransportOptions);
  constructor(target: string, options?: NodePrismClientOptions);
  constructor(target: string | Transport, options: NodePrismClientOptions = {}) {
    if (isTransport(target)) {
      super(target, options, undefined, CALLS);
      this.#closeTransport = () => {};
      return;
    }
    const { tls = false, interceptors } = options ?? {};
    const transport = createGrpcTransport({
      baseUrl: parseAddress(target, tls !== false),
      tls: typeof tls === "boolean" ? undefined : { ...tls },
      interceptors,
    });
    super(transport, options, NODE_OPTIONS, CALLS);
    this.#closeTransport = () => transport.close();
  }

  /**
   * A client as the environment says: `PRISM_ADDRESS` (absent: `localhost:8980`), `PRISM_NAMESPACE`
   * and `PRISM_TOKEN`, an API key or token. An empty variable is as an absent one. `options` come
   * before the environment. Throws as the constructor does.
   */
  static fromEnv(options: NodePrismClientOptions = {}): PrismClient {
    const { PRISM_ADDRESS, PRISM_NAMESPACE, PRISM_TOKEN } = process.env;
    return new PrismClient(PRISM_ADDRESS || "localhost:8980", {
      ...(PRISM_NAMESPACE && { namespace: PRISM_NAMESPACE }),
      ...(PRISM_TOKEN && { credentials: PRISM_TOKEN }),
      ...options,
    });
  }

  /** Closes as every client does, and ends the connections. */
  override async close(): Promise<void> {
    await super.close();
    this.#closeTransport();
  }
}
