import type { IncomingHttpHeaders, OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";
import { type Duplex, Readable, Writable } from "node:stream";
import { ErrorCode } from "./errors.ts";
import { encodeHeaders } from "./hpack-encoder.ts";
import type { Stream } from "./stream.ts";

/*
 * A server's stream as a request and a response in the shape of node:http2's compatibility API, for
 * frameworks that are written for that. It is as slow as such objects are: what has to be fast
 * talks to the stream.
 */

/** Smaller chunks are copied: a view of a few bytes would keep the whole chunk of the socket. */
const COPY_BYTES = 1024;

/** RFC 9113 section 8.2.2: these fields are about one HTTP/1.1 connection. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** What a request and its response share of their stream. */
export interface CompatStream {
  /** How it was reset, once it is closed; 0 = it was not. */
  readonly rstCode: number;
}

/** The request of a stream, like http2.Http2ServerRequest. It closes when the stream does. */
export class CompatRequest extends Readable {
  readonly httpVersion = "2.0";
  readonly httpVersionMajor = 2;
  readonly method: string;
  /** The path and query. */
  readonly url: string;
  /** Pseudo-header fields too, as node:http2 has them. */
  readonly headers: IncomingHttpHeaders;
  readonly socket: Duplex;
  readonly stream: CompatStream;
  /** The stream ended before the request did. */
  aborted = false;
  /** The body was received to its end. */
  complete = false;
  readonly #stream: Stream;
  #reading = false;

  constructor(stream: Stream, shared: CompatStream) {
    super({ autoDestroy: false });
    this.method = stream.method;
    this.url = stream.path;
    this.headers = headersOf(stream);
    this.socket = stream.socket;
    this.stream = shared;
    this.#stream = stream;
  }

  /** As `headers` has it now, so that a corrected one counts. */
  get authority(): string {
    return String(this.headers[":authority"] ?? "");
  }

  override _read(): void {
    if (this.#reading) {
      this.#stream.resume();
      return;
    }
    this.#reading = true;
    this.#stream.read((stream, chunk, end) => {
      if (chunk.length > 0 && !this.push(chunk.length < COPY_BYTES ? Buffer.from(chunk) : chunk)) {
        stream.pause();
      }
      if (end) {
        this.complete = true;
        this.push(null);
      }
    });
  }
}

/** The response of a stream, like http2.Http2ServerResponse. It closes when the stream does. */
export class CompatResponse extends Writable {
  statusCode = 200;
  headersSent = false;
  readonly req: CompatRequest;
  readonly socket: Duplex;
  readonly stream: CompatStream;
  readonly #stream: Stream;
  readonly #headers = new Map<string, OutgoingHttpHeader>();
  readonly #trailers = new Map<string, OutgoingHttpHeader>();
  /** Called when there is room for the next chunk. */
  #written: () => void = () => {};

  constructor(stream: Stream, request: CompatRequest) {
    super({ autoDestroy: false });
    this.req = request;
    this.socket = request.socket;
    this.stream = request.stream;
    this.#stream = stream;
  }

  /** `end` was called. */
  get finished(): boolean {
    return this.writableEnded;
  }

  /** Throws TypeError for a field that must not be on the wire, as all calls that set fields do. */
  setHeader(name: string, value: OutgoingHttpHeader): this {
    setAll(this.#headers, { [name]: value });
    return this;
  }

  getHeader(name: string): OutgoingHttpHeader | undefined {
    return this.#headers.get(name.toLowerCase());
  }

  getHeaders(): OutgoingHttpHeaders {
    return Object.fromEntries(this.#headers);
  }

  hasHeader(name: string): boolean {
    return this.#headers.has(name.toLowerCase());
  }

  removeHeader(name: string): void {
    this.#headers.delete(name.toLowerCase());
  }

  addTrailers(trailers: OutgoingHttpHeaders): void {
    setAll(this.#trailers, trailers);
  }

  flushHeaders(): void {
    if (!this.headersSent) {
      this.#respond(false);
    }
  }

  /** Once; throws where headers were sent. A phrase for the status is left out (section 8.3.2). */
  writeHead(
    statusCode: number,
    phrase?: string | OutgoingHttpHeaders,
    headers: OutgoingHttpHeaders | undefined = typeof phrase === "object" ? phrase : undefined,
  ): this {
    if (this.headersSent) {
      throw Object.assign(new Error("headers were sent"), { code: "ERR_HTTP_HEADERS_SENT" });
    }
    this.statusCode = statusCode;
    setAll(this.#headers, headers ?? {});
    this.#respond(false);
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.flushHeaders();
    if (this.#hasNoBody || this.#stream.write(chunk) || this.#stream.closed) {
      done();
    } else {
      this.#written = done;
      this.#stream.whenDrained(() => done());
    }
  }

  override _final(done: () => void): void {
    // First, because the stream may close now, and a destroyed response does not finish.
    done();
    const trailers = pairsOf(this.#trailers);
    if (!this.headersSent) {
      this.#respond(trailers.length === 0);
    }
    this.#stream.end(trailers.length === 0 ? undefined : encodeHeaders(trailers));
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stream.reset(error === null ? ErrorCode.CANCEL : ErrorCode.INTERNAL_ERROR);
    this.#written();
    done(error);
  }

  /** RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
  get #hasNoBody(): boolean {
    return this.req.method === "HEAD" || this.statusCode === 204 || this.statusCode === 304;
  }

  #respond(end: boolean): void {
    if (!this.#headers.has("date")) {
      this.#headers.set("date", new Date().toUTCString());
    }
    const block = encodeHeaders([":status", String(this.statusCode), ...pairsOf(this.#headers)]);
    this.headersSent = true;
    this.#stream.respond(block, end);
  }
}

/**
 * Makes the request and the response of a stream that nobody reads yet. They take over its
 * callbacks.
 */
export function createCompat(stream: Stream): { request: CompatRequest; response: CompatResponse } {
  const shared = { rstCode: 0 };
  const request = new CompatRequest(stream, shared);
  const response = new CompatResponse(stream, request);
  stream.whenClosed((_, code) => {
    // node:http2 says CANCEL where the connection is gone.
    shared.rstCode = code === ErrorCode.CONNECT_ERROR ? ErrorCode.CANCEL : (code ?? 0);
    request.aborted = !request.complete && code !== undefined;
    if (request.aborted) {
      request.emit("aborted");
    }
    request.destroy();
    response.destroy();
  });
  return { request, response };
}

function headersOf(stream: Stream): IncomingHttpHeaders {
  const headers: Record<string, string | string[] | undefined> = Object.create(null);
  headers[":method"] = stream.method;
  headers[":path"] = stream.path;
  headers[":scheme"] = stream.scheme;
  if (stream.authority !== "") {
    headers[":authority"] = stream.authority;
  }
  const { fields } = stream.headers;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const before = headers[name];
    if (name === "set-cookie") {
      headers[name] = [...(before ?? []), value];
    } else {
      headers[name] = before === undefined ? value : `${before}${name === "cookie" ? "; " : ", "}${value}`;
    }
  }
  return headers;
}

/** Sets all fields or none. Throws TypeError for one that must not be on the wire. */
function setAll(fields: Map<string, OutgoingHttpHeader>, more: OutgoingHttpHeaders): void {
  const added = new Map<string, OutgoingHttpHeader>();
  for (const [name, value] of Object.entries(more)) {
    if (value !== undefined) {
      added.set(name.toLowerCase(), value);
    }
  }
  encodeHeaders(pairsOf(added));
  for (const [name, value] of added) {
    fields.set(name, value);
  }
}

function pairsOf(fields: ReadonlyMap<string, OutgoingHttpHeader>): string[] {
  const pairs: string[] = [];
  for (const [name, value] of fields) {
    if (!CONNECTION_FIELDS.has(name)) {
      for (const each of Array.isArray(value) ? value : [value]) {
        pairs.push(name, String(each));
      }
    }
  }
  return pairs;
}
