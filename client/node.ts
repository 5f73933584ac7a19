import { type ClientHttp2Stream, constants, type Http2Session } from "node:http2";
import type { SecureContextOptions } from "node:tls";
import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { parseAddress } from "./address.ts";
import { PrismClient as AnyPrismClient, type PrismClientOptions } from "./client.ts";

export * from "./api.ts";

/**
 * A connection without calls is closed after this long: well under the 300 s after which the gateway closes
 * it, because a call that is made at that very moment would have to be sent again.
 */
const IDLE_TIMEOUT_MS = 60_000;

/** A connection whose calls have been silent for this long is asked whether it still lives. */
const PING_INTERVAL_MS = 60_000;

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
 * A client of a Prism gateway for Node: gRPC over one HTTP/2 connection, which is made when the first call
 * needs it and does not keep the process alive while no call is running.
 *
 * ```ts
 * import { PrismClient } from "prism-gateway";
 *
 * await using client = new PrismClient("localhost:8980");
 * await client.keyvalue.set("greeting", "hello");
 * ```
 */
export class PrismClient extends AnyPrismClient {
  readonly #sessions: SessionManager;

  /**
   * `address` is `host:port`, `host` (port 8980), or a URL with `http:` or `https:`. Throws TypeError for anything
   * else. Whether a gateway answers there, the first call tells.
   */
  constructor(address: string, options: NodePrismClientOptions = {}) {
    const { tls = false } = options;
    const baseUrl = parseAddress(address, tls !== false);
    const sessions = new SessionManager(
      baseUrl,
      { idleConnectionTimeoutMs: IDLE_TIMEOUT_MS, pingIntervalMs: PING_INTERVAL_MS },
      typeof tls === "boolean" ? {} : { ...tls },
    );
    const transport = createGrpcTransport({
      baseUrl,
      sessionManager: sessions,
      interceptors: [retryRefused(sessions)],
      // Between machines of one network, compressing costs more than it saves.
      acceptCompression: [],
    });
    super(transport, options);
    this.#sessions = sessions;
  }

  /** As in every client, and ends the connection. */
  override async close(): Promise<void> {
    await super.close();
    this.#sessions.close();
  }
}

/**
 * Connect's manager, with what it lacks: an end without an error, a listener on sessions that it has let go, and
 * which calls were refused.
 */
class SessionManager extends Http2SessionManager {
  readonly #open = new Set<Http2Session>();
  readonly #refusals = new WeakSet<Error>();

  override async request(...request: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...request);
    this.#watch(stream.session);
    let answered = false;
    stream.once("response", () => {
      answered = true;
    });
    stream.once("error", (error: Error) => {
      if (!answered && stream.rstCode === constants.NGHTTP2_REFUSED_STREAM) {
        this.#refusals.add(error);
      }
    });
    return stream;
  }

  /**
   * Whether a call ended because the server refused it, or began to close the connection before it took it:
   * in both cases it was not run (RFC 9113, sections 6.8 and 8.7).
   */
  wasRefused(error: unknown): boolean {
    return error instanceof ConnectError && error.cause instanceof Error && this.#refusals.has(error.cause);
  }

  /** Ends every connection as soon as its calls have ended. Unlike abort() this is no error to the server. */
  close(): void {
    if (this.state() === "connecting") {
      this.abort();
    }
    for (const session of this.#open) {
      session.close();
    }
  }

  /**
   * The manager takes its error listeners off a session that it leaves, while an error can still come from its
   * socket: without a listener it would end the process (github.com/connectrpc/connect-es/issues/1768).
   */
  #watch(session: Http2Session | undefined): void {
    if (session !== undefined && !this.#open.has(session)) {
      this.#open.add(session);
      session.on("error", () => {});
      session.once("close", () => this.#open.delete(session));
    }
  }
}

/** Makes a call that was refused once more, as RFC 9113 section 8.7 allows for every kind of call. */
function retryRefused(sessions: SessionManager): Interceptor {
  return (next) => async (request) => {
    if (request.stream && request.method.methodKind !== "server_streaming") {
      return await next(request);
    }
    // The one message of a stream's request can be read once only.
    const messages = request.stream ? await Array.fromAsync(request.message) : [];
    const send = () => next(request.stream ? { ...request, message: replay(messages) } : request);
    try {
      return await send();
    } catch (error) {
      if (!sessions.wasRefused(error) || request.signal.aborted) {
        throw error;
      }
      return await send();
    }
  };
}

async function* replay<T>(messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}
