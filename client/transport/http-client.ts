import { ConnectError } from "@connectrpc/connect";
import type {
  UniversalClientFn,
  UniversalClientRequest,
  UniversalClientResponse,
} from "@connectrpc/connect/protocol";
import { encodeHeaders, type HeaderBlock, type Stream } from "../../http2/index.ts";
import { Call, type CallRequest, READ_AHEAD_BYTES } from "./call.ts";
import type { Channel } from "./channel.ts";
import { EnvelopeCheck, incompleteEnvelope } from "./envelope.ts";
import { RESERVED, timeoutField, toHeaders } from "./fields.ts";
import { withoutStatus } from "./status.ts";

/**
 * Connect's HTTP client on a channel, for calls with a stream of requests. `common` are the fields
 * of a path's requests.
 */
export function createHttpClient(channel: Channel, common: (path: string) => HeaderBlock): UniversalClientFn {
  return ({ header, url, signal, body }) => {
    const own = [...header].filter(([name]) => !RESERVED.has(name) && name !== "grpc-timeout").flat();
    // Connect writes all of them in milliseconds, with more digits than a server may read.
    const timeoutMs = Number.parseInt(header.get("grpc-timeout") ?? "", 10) || undefined;
    if (timeoutMs !== undefined) {
      own.push(...timeoutField(timeoutMs));
    }
    const fields = common(new URL(url).pathname);
    const request = { fields, ownFields: encodeHeaders(own), timeoutMs, signal, canSendAgain: false };
    return new HttpCall(channel, request, body).run();
  };
}

/** A request whose body is a stream, so that it can be sent once only. */
class HttpCall extends Call {
  readonly #body: AsyncIterable<Uint8Array> | undefined;
  readonly #response = Promise.withResolvers<UniversalClientResponse>();
  readonly #trailer = new Headers();
  readonly #chunks: Buffer[] = [];
  readonly #check = new EnvelopeCheck();
  #bytes = 0;
  #answered = false;
  #ended = false;
  #error: ConnectError | undefined = undefined;
  #wakeReader: () => void = () => {};
  #wakeWriter: () => void = () => {};

  constructor(channel: Channel, request: CallRequest, body: UniversalClientRequest["body"]) {
    super(channel, request);
    this.#body = body;
  }

  /** Makes the call; once. Resolves with the headers; rejects with ConnectError. */
  run(): Promise<UniversalClientResponse> {
    this.start();
    return this.#response.promise;
  }

  protected override opened(stream: Stream): void {
    stream.whenAnswered(() => {
      // A status in the headers counts only if the end comes at once.
      if (stream.headers.get("grpc-status") === undefined) {
        this.#answer(stream, false);
      }
    });
    stream.whenDrained(() => this.#wakeWriter());
    stream.read((_, chunk, end) => this.#received(stream, chunk, end));
    this.#write(stream).catch((error: unknown) => this.fail(ConnectError.from(error)));
  }

  protected override failed(error: ConnectError): void {
    this.#error = error;
    this.#response.reject(error);
    this.#wakeReader();
    this.#wakeWriter();
  }

  /** The response begins, and with `isWhole` it ends with its headers. */
  #answer(stream: Stream, isWhole: boolean): void {
    this.#answered = true;
    const headers = toHeaders(stream.headers);
    this.#response.resolve({
      status: stream.headers.status,
      header: isWhole ? headers : withoutStatus(headers),
      body: this.#read(),
      trailer: this.#trailer,
    });
  }

  #received(stream: Stream, chunk: Buffer, end: boolean): void {
    if (this.over) {
      return;
    }
    if (!this.#answered) {
      this.#answer(stream, end && chunk.length === 0 && stream.trailers === undefined);
    }
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    this.#check.push(chunk);
    if (end) {
      this.#ended = true;
      if (!this.#check.whole) {
        this.#error = incompleteEnvelope();
      }
      toHeaders(stream.trailers, this.#trailer);
      this.end();
      this.#wakeWriter();
    } else if (this.#bytes >= READ_AHEAD_BYTES) {
      stream.pause();
    }
    this.#wakeReader();
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    for (;;) {
      for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
        this.#bytes -= chunk.length;
        yield chunk;
      }
      if (this.#error !== undefined) {
        throw this.#error;
      }
      if (this.#ended) {
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
        this.stream?.resume();
      });
    }
  }

  /** A server that has answered wants no more of the request. */
  async #write(stream: Stream): Promise<void> {
    for await (const chunk of this.#body ?? []) {
      if (this.over) {
        return;
      }
      if (!stream.write(chunk) && !stream.closed) {
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
      }
    }
    stream.end();
  }
}
