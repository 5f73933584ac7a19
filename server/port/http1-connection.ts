import http from "node:http";
import type { Duplex } from "node:stream";
import type { Unsent, UnsentBudget, UnsentHolder } from "../../http2/index.ts";

/** What a waiting request counts as, because node:http makes several objects of it. */
const HELD_REQUEST_BYTES = 4096;

/**
 * With this many waiting requests nothing more is read. With none read ahead, a peer that leaves
 * would not be noticed.
 */
const READ_AHEAD = 32;

/** How often within the stall time the progress of answers is checked. */
const LOOKS = 4;

type Done = (error: Error | null | undefined) => void;
type Ended = () => void;

/**
 * The response that node:http makes for each request. It tells its connection when the socket does
 * not take everything at once.
 */
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
 * A connection of HTTP/1.1. It runs its requests one after the other, as their answers leave.
 * node:http hands out all requests that came together, and the answers after a large one would wait
 * for a peer that may never read.
 */
export class Http1Connection implements UnsentHolder {
  readonly socket: Duplex;
  countedBytes = 0;
  /** The requests that are not answered, or not received whole. */
  requests = 0;
  /** The last answer under way. */
  response: http.ServerResponse | undefined = undefined;
  readonly #handler: http.RequestListener;
  readonly #budget: UnsentBudget;
  readonly #held: { readonly request: http.IncomingMessage; readonly response: CountedResponse }[] = [];
  #running: CountedResponse | undefined = undefined;
  #waitsSince = 0;
  #leftBytes = 0;
  /**
   * The checks in a row without progress. Not a time: a process that stood still itself would blame
   * its peers.
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
    // node:http resumes it when a request is read to its end.
    socket.on("resume", () => this.#pauseWhereFull());
    // Between the two listeners node:http ends each waiting request with an error and reads its
    // stack, which for some thousands takes a second.
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

  /** Whether the peer takes nothing. Call it {@link LOOKS} times within the stall time. */
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

  /** The number of waiting bytes has changed. */
  count(): void {
    if (this.countedBytes === 0) {
      this.#waitsSince = performance.now();
    }
    this.#budget.update(this);
  }

  /** Answers the request now, or when those before it are answered. */
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
      // Later, so that other connections have their turn.
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
      // It emits none if it was paused before node:http, told of a late `resume`, started to read
      // again.
      this.socket.emit("pause");
    }
  }
}

/**
 * The bytes of the current write that the kernel has not taken: `writableLength` counts the whole
 * write until its last byte is gone. Node checks the same before it emits "timeout", which incoming
 * data delays too. Under TLS only the socket below knows.
 */
function leftBytes(socket: Duplex): number {
  const { writeQueueSize } = Object(Reflect.get(Reflect.get(socket, "_parent") ?? socket, "_handle"));
  return typeof writeQueueSize === "number" ? writeQueueSize : socket.writableLength;
}

/**
 * The connections of HTTP/1.1. They change with connections and not with requests: see
 * `wire/open-calls.ts` for why no Set changes with every request.
 */
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
   * Starts to report each connection whose peer has taken nothing of what waits for it for
   * `stallTimeoutMs`. Returns the function that stops it.
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
