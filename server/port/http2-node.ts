import type http from "node:http";
import http2 from "node:http2";
import {
  CONNECTION_WINDOW_BYTES,
  STREAM_WINDOW_BYTES,
  type Unsent,
  type UnsentBudget,
  type UnsentHolder,
} from "../../http2/index.ts";
import type { Http2, PortOptions } from "./options.ts";

/**
 * The megabytes that node:http2 may hold for one connection. More than the connection window, or
 * node:http2 would refuse streams.
 */
const MAX_SESSION_MEMORY_MB = 32;

/** HTTP/2 by node:http2. Each call goes to `handler` as a request and a response. */
export function createNodeHttp2(handler: http.RequestListener, options: PortOptions): Http2 {
  // It never listens: it is handed connections.
  const server = http2.createServer(
    {
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      Http2ServerResponse: countedResponse(options.unsent),
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
        initialWindowSize: options.streamWindowBytes ?? STREAM_WINDOW_BYTES,
        enablePush: false,
      },
    },
    (request, response) => {
      joinAuthorization(request);
      // They have the parts of http's requests and responses that Fastify uses.
      handler(
        request as unknown as http.IncomingMessage,
        response as unknown as http.ServerResponse<http.IncomingMessage> & { req: http.IncomingMessage },
      );
    },
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  let draining = false;

  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    const peer = { remoteAddress: session.socket.remoteAddress };
    session.setLocalWindowSize(options.connectionWindowBytes ?? CONNECTION_WINDOW_BYTES);
    let calls = 0;
    session.on("stream", (stream) => {
      calls++;
      stream.once("close", () => calls--);
      // What comes after the answer is read and dropped, or its sender would wait for room for
      // ever. (A reset as in RFC 9113 section 8.1 does not work: Node 26 aborts if trailers are
      // still to be sent.)
      stream.once("finish", () => stream.removeAllListeners("data").resume());
    });
    session.on("error", (error: Error & { code?: string }) => {
      // If the client is just gone, the log line of each call says so.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") {
        options.onConnectionError(error, peer);
      }
    });
    session.setTimeout(options.idleTimeoutMs, () => {
      if (calls === 0) {
        session.close();
      } else {
        // A quiet stream or a dead peer: a ping tells.
        ping(session, options.pingTimeoutMs);
      }
    });
    if (draining) {
      session.close();
    }
  });

  return {
    accept(socket) {
      // http.Server leaves its end open when the peer closes, so the calls of a client that is gone
      // would go on.
      socket.once("end", () => socket.destroy());
      server.emit("connection", socket);
    },
    drain() {
      draining = true;
      for (const session of sessions) {
        // GOAWAY names the last call that was taken, so a client knows that it may send later ones
        // elsewhere (RFC 9113 section 6.8). nghttp2 takes none after a GOAWAY, whatever it names.
        session.close();
      }
    },
  };
}

/** Of several Authorization fields node:http2 shows the first, as if it were the only one. */
function joinAuthorization({ rawHeaders, headers }: http2.Http2ServerRequest): void {
  const given = rawHeaders.filter(
    (_, i) => rawHeaders[i - 1]?.toLowerCase() === "authorization" && i % 2 === 1,
  );
  if (given.length > 1) {
    headers.authorization = given.join(", ");
  }
}

/** An answer that its stream did not take at once. */
class WaitingAnswer implements UnsentHolder {
  countedBytes = 0;
  readonly #stream: http2.ServerHttp2Stream;
  readonly #budget: UnsentBudget;
  #waitsSince = performance.now();

  constructor(stream: http2.ServerHttp2Stream, budget: UnsentBudget) {
    this.#stream = stream;
    this.#budget = budget;
    budget.join(this);
    stream.on("drain", () => {
      this.#waitsSince = performance.now();
      this.count();
    });
    stream.once("close", () => budget.leave(this));
  }

  get unsentBytes(): number {
    return this.#stream.closed ? 0 : this.#stream.writableLength;
  }

  unsent(): Unsent[] {
    const end = () => {
      this.#stream.close(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
      // Its memory is freed later.
      this.#budget.leave(this);
    };
    return [{ bytes: this.unsentBytes, since: this.#waitsSince, end }];
  }

  count(): void {
    this.#budget.update(this);
  }
}

/** Makes node:http2's response class count what waits to be sent. */
function countedResponse(budget: UnsentBudget) {
  return class extends http2.Http2ServerResponse {
    #waiting: WaitingAnswer | undefined = undefined;

    override write(chunk: string | Uint8Array, encoding?: BufferEncoding | Done, done?: Done): boolean {
      const more = super.write(chunk, encoding as BufferEncoding, done);
      this.#count();
      return more;
    }

    override end(chunk?: string | Uint8Array | Ended, encoding?: BufferEncoding | Ended, done?: Ended): this {
      super.end(chunk as string, encoding as BufferEncoding, done);
      this.#count();
      return this;
    }

    #count(): void {
      if (!this.stream.closed && this.stream.writableLength > 0) {
        this.#waiting ??= new WaitingAnswer(this.stream, budget);
        this.#waiting.count();
      }
    }
  };
}

type Done = (error: Error) => void;
type Ended = () => void;

/** Destroys the session unless its peer answers in time. */
function ping(session: http2.ServerHttp2Session, timeoutMs: number): void {
  const deadline = setTimeout(() => session.destroy(), timeoutMs);
  session.once("close", () => clearTimeout(deadline));
  session.ping((error) => {
    clearTimeout(deadline);
    if (error !== null) {
      session.destroy();
    }
  });
}
