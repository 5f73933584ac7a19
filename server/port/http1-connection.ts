import http from "node:http";
import type { Duplex } from "node:stream";
import type { Unsent, UnsentBudget, UnsentHolder } from "../../http2/index.ts";

/** What a request that waits behind another is counted as: node:http makes several objects of it. */
const HELD_REQUEST_BYTES = 4096;

/** With so many waiting nothing more is read. With none, a peer that leaves would not be noticed. */
const READ_AHEAD = 32;

/** So often within the stall time it is looked whether answers move. */
const LOOKS = 4;

type Done = (error: Error | null | undefined) => void;
type Ended = () => void;

/** What node:http makes for each request; it tells its connection where the socket does not take all at once. */
export class CountedResponse extends http.ServerResponse {
  owner: Http1Connection | undefined = undefined;

  override write(chunk: unknown, encoding?: BufferEncoding | Done, done?: Done): boolean {
    const more = super.write(chunk, encoding as BufferEncoding, done);
    this.#count();
    return more;
  }

  override end(chunk?: unknown, encoding?: BufferEncoding | Ended, done?: Ended): this {
    super.end(chunk, encoding as BufferEncoding, done);
    this.#count();
    return this;
  }

  #count(): void {
    if (this.writableLength > 0) {
      this.owner?.count();
    }
  }
}

/**
 * A connection of HTTP/1.1. Its requests are run one after the other, as their answers leave: node:http hands out all that
 * came together at once, and the answers of those that come after a large one would wait for a peer that may never read.
 */
export class Http1Connection implements UnsentHolder {
  readonly socket: Duplex;
  countedBytes = 0;
  /** Those that are not answered, or not received to their end. */
  requests = 0;
  /** The last answer that is under way. */
  response: http.ServerResponse | undefined = undefined;
  readonly #handler: http.RequestListener;
  readonly #budget: UnsentBudget;
  readonly #held: { readonly request: http.IncomingMessage; readonly response: CountedResponse }[] = [];
  #running: CountedResponse | undefined = undefined;
  #waitsSince = 0;
  #leftBytes = 0;
  /**
   * Looks in a row at which as much was left as before. No time: a process that stood still itself
   * would blame its peers.
   */
  #looks = 0;

  constructor(socket: Duplex, handler: http.RequestListener, budget: UnsentBudget) {
    this.socket = socket;
    this.#handler = handler;
    this.#budget = budget;
    budget.join(this);
    socket.on("drain", () => {
      this.#waitsSince = performance.now();
      this.count();
    });
    // node:http resumes it where a request is read to its end.
    socket.on("resume", () => this.#pauseWhereFull());
    // In between node:http ends each request that waits with an error, and reads its stack: for some
    // thousands of them a second's work.
    let stackTraceLimit = Error.stackTraceLimit;
    socket.prependOnceListener("close", () => {
      stackTraceLimit = Error.stackTraceLimit;
      if (this.#held.length > 0) {
        Error.stackTraceLimit = 0;
      }
    });
    socket.once("close", () => {
      Error.stackTraceLimit = stackTraceLimit;
      budget.leave(this);
    });
  }

  get unsentBytes(): number {
    return this.socket.writableLength + this.#held.length * HELD_REQUEST_BYTES;
  }

  unsent(): Unsent[] {
    this.#look();
    const end = () => {
      this.socket.destroy();
      // Its "close" comes later.
      this.#budget.leave(this);
    };
    return [{ bytes: this.unsentBytes, since: this.#waitsSince, end }];
  }

  /** Whether the peer takes nothing; to be asked {@link LOOKS} times within the stall time. */
  isStalled(): boolean {
    this.#look();
    return this.#leftBytes > 0 && ++this.#looks >= LOOKS;
  }

  #look(): void {
    const bytes = leftBytes(this.socket);
    if (bytes !== this.#leftBytes) {
      this.#leftBytes = bytes;
      this.#looks = 0;
      this.#waitsSince = performance.now();
    }
  }

  /** More or less waits than before. */
  count(): void {
    if (this.countedBytes === 0) {
      this.#waitsSince = performance.now();
    }
    this.#budget.update(this);
  }

  /** Has the request answered, now or when those before it are. */
  run(request: http.IncomingMessage, response: CountedResponse): void {
    response.owner = this;
    if (this.#running === undefined && this.#held.length === 0) {
      this.#start(request, response);
      return;
    }
    this.#held.push({ request, response });
    this.#pauseWhereFull();
    this.count();
  }

  /** The answer was handed over, or its connection is closed. */
  answered(response: CountedResponse): void {
    if (this.countedBytes > 0) {
      this.count();
    }
    if (response !== this.#running) {
      return;
    }
    this.#running = undefined;
    if (this.#held.length > 0) {
      // Not now: other connections have their turn.
      setImmediate(() => this.#next());
    }
  }

  #next(): void {
    const next = this.#held.shift();
    this.count();
    if (next === undefined || this.socket.destroyed) {
      this.#held.length = 0;
      return;
    }
    this.#start(next.request, next.response);
    // Where node:http has paused it as well, that one resumes it.
    if (this.#held.length === READ_AHEAD - 1 && Reflect.get(this.socket, "_paused") !== true) {
      this.socket.resume();
    }
  }

  #start(request: http.IncomingMessage, response: CountedResponse): void {
    this.#running = response;
    this.#handler(request, response);
  }

  #pauseWhereFull(): void {
    if (this.#held.length >= READ_AHEAD) {
      this.socket.pause();
      // It says nothing where it was paused before node:http, told of a late `resume`, began to read again.
      this.socket.emit("pause");
    }
  }
}

/**
 * What the kernel has not taken of the write that is under way: `writableLength` counts all of it
 * until the last byte is gone. Node looks at the same before it says "timeout", which what comes
 * from the peer puts off as well. Under TLS only the socket below tells.
 */
function leftBytes(socket: Duplex): number {
  const { writeQueueSize } = Object(Reflect.get(Reflect.get(socket, "_parent") ?? socket, "_handle"));
  return typeof writeQueueSize === "number" ? writeQueueSize : socket.writableLength;
}

/** The connections of HTTP/1.1. One is made for a connection and not for a request: see `direct/open-calls.ts` for why no Set changes with every request. */
export class Http1Connections {
  readonly all = new Set<Http1Connection>();
  readonly #handler: http.RequestListener;
  readonly #budget: UnsentBudget;
  readonly #bySocket = new WeakMap<Duplex, Http1Connection>();

  /** `handler` gets each request in its turn. */
  constructor(handler: http.RequestListener, budget: UnsentBudget) {
    this.#handler = handler;
    this.#budget = budget;
  }

  /**
   * Tells from now on of each connection whose peer has taken nothing of what waits for it for
   * `stallTimeoutMs`. Returns what stops it.
   */
  watch(stallTimeoutMs: number, onStalled: (socket: Duplex) => void): () => void {
    const look = () => {
      for (const connection of this.all) {
        if (connection.isStalled()) {
          onStalled(connection.socket);
        }
      }
    };
    const timer = setInterval(look, stallTimeoutMs / LOOKS).unref();
    return () => clearInterval(timer);
  }

  of(socket: Duplex): Http1Connection {
    let connection = this.#bySocket.get(socket);
    if (connection === undefined) {
      const made = new Http1Connection(socket, this.#handler, this.#budget);
      connection = made;
      this.#bySocket.set(socket, made);
      this.all.add(made);
      socket.once("close", () => this.all.delete(made));
    }
    return connection;
  }
}
