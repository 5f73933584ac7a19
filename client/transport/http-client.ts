import { ConnectError } from "@connectrpc/connect";
import type {
  UniversalClientFn,
  UniversalClientRequest,
  UniversalClientResponse,
} from "@connectrpc/connect/protocol";
import { type ClientStream, encodeHeaders, type HeaderBlock, type Stream } from "../../http2/index.ts";
import { Call, READ_AHEAD_BYTES } from "./call.ts";
import type { Channel } from "./channel.ts";
import { RESERVED, toHeaders } from "./fields.ts";

/** Connect's HTTP client on a channel, for every call that has no shorter way. `common` are the fields of a path's requests. */
export function createHttpClient(channel: Channel, common: (path: string) => HeaderBlock): UniversalClientFn {
  return (request) => {
    const own = [...request.header].filter(([name]) => !RESERVED.has(name)).flat();
    return new HttpCall(channel, request, common(new URL(request.url).pathname), encodeHeaders(own)).run();
  };
}

/** A request whose body is a stream, so that it can be sent once only. */
class HttpCall extends Call {
  readonly #body: AsyncIterable<Uint8Array> | undefined;
  readonly #response = Promise.withResolvers<UniversalClientResponse>();
  readonly #trailer = new Headers();
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #ended = false;
  #error: ConnectError | undefined = undefined;
  #wakeReader: () => void = () => {};
  #wakeWriter: () => void = () => {};

  constructor(
    channel: Channel,
    { body, signal }: UniversalClientRequest,
    fields: HeaderBlock,
    ownFields: HeaderBlock,
  ) {
    super(channel, { fields, ownFields, signal, timeoutMs: undefined, canSendAgain: false });
    this.#body = body;
  }

  /** Makes the call; once. Resolves with the headers; rejects with ConnectError. */
  run(): Promise<UniversalClientResponse> {
    this.start();
    return this.#response.promise;
  }

  protected override opened(stream: ClientStream): void {
    stream.onHeaders = () => {
      this.#response.resolve({
        status: stream.headers.status,
        header: toHeaders(stream.headers),
        body: this.#read(),
        trailer: this.#trailer,
      });
    };
    stream.onDrain = () => this.#wakeWriter();
    stream.read((_, chunk, end) => this.#received(stream, chunk, end));
    this.#write(stream).catch((error: unknown) => this.fail(ConnectError.from(error)));
  }

  protected override failed(error: ConnectError): void {
    this.#error = error;
    this.#response.reject(error);
    this.#wakeReader();
    this.#wakeWriter();
  }

  #received(stream: Stream, chunk: Buffer, end: boolean): void {
    if (this.over) {
      return;
    }
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    if (end) {
      this.#ended = true;
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
  async #write(stream: ClientStream): Promise<void> {
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
