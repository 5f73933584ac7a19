import type { DescMessage, DescMethodStreaming, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type StreamResponse } from "@connectrpc/connect";
import type { HeaderList, Stream } from "../../http2/index.ts";
import { Call, type CallRequest, type CallTarget, READ_AHEAD_BYTES } from "./call.ts";
import type { Channel } from "./channel.ts";
import { EnvelopeReader, incompleteEnvelope } from "./envelope.ts";
import { toHeaders } from "./fields.ts";
import { checkHeaders, checkStatus } from "./status.ts";

/** A call with one request and a stream of answers, straight on a stream of the engine. */
export class StreamCall<I extends DescMessage, O extends DescMessage> extends Call {
  readonly #target: CallTarget<DescMethodStreaming<I, O>, O>;
  readonly #body: Uint8Array;
  readonly #envelopes: EnvelopeReader;
  #headers: HeaderList | undefined = undefined;
  #trailers: HeaderList | undefined = undefined;
  #hasBody = false;
  #ended = false;
  #error: ConnectError | undefined = undefined;
  /** Wakes the reader that waits for more. */
  #wake: () => void = () => {};

  /** `body` is the message in its envelope. */
  constructor(
    channel: Channel,
    request: CallRequest,
    target: CallTarget<DescMethodStreaming<I, O>, O>,
    body: Uint8Array,
  ) {
    super(channel, request);
    this.#target = target;
    this.#body = body;
    this.#envelopes = new EnvelopeReader(target.readMaxBytes);
  }

  /** Makes the call; once. Resolves with the headers; rejects with ConnectError. */
  async run(): Promise<StreamResponse<I, O>> {
    const trailer = new Headers();
    this.start();
    try {
      while (this.#headers === undefined) {
        await this.#progress();
      }
      checkHeaders(this.#headers);
    } catch (error) {
      // Its answer is not read.
      this.fail(ConnectError.from(error));
      throw error;
    }
    const { method } = this.#target;
    return {
      stream: true,
      method,
      service: method.parent,
      header: toHeaders(this.#headers),
      message: this.#messages(trailer),
      trailer,
    };
  }

  protected override opened(stream: Stream): void {
    stream.whenAnswered(onHeaders);
    stream.read(onData);
    stream.endWith(this.#body);
  }

  protected override failed(error: ConnectError): void {
    this.#error = error;
    this.#wake();
  }

  /** For the stream: the response begins. */
  answered({ headers }: Stream): void {
    this.#headers = headers;
    this.#wake();
  }

  /** For the stream. */
  received(stream: Stream, chunk: Buffer, end: boolean): void {
    if (this.over) {
      return;
    }
    this.#envelopes.push(chunk);
    this.#hasBody ||= chunk.length > 0;
    if (end) {
      this.#ended = true;
      this.#trailers = stream.trailers;
      this.end();
    } else if (this.#envelopes.bytes >= READ_AHEAD_BYTES) {
      stream.pause();
    }
    this.#wake();
  }

  async *#messages(trailer: Headers): AsyncGenerator<MessageShape<O>, void, undefined> {
    const { parse } = this.#target;
    try {
      for (;;) {
        for (let bytes = this.#envelopes.next(); bytes !== undefined; bytes = this.#envelopes.next()) {
          yield parse(bytes);
          // An aborted call ends at once, even with messages left.
          this.#throwError();
        }
        if (this.#ended) {
          break;
        }
        await this.#progress();
      }
      if (this.#headers !== undefined) {
        toHeaders(this.#trailers, trailer);
        checkStatus(this.#headers, this.#trailers, this.#hasBody);
      }
      if (this.#envelopes.bytes > 0) {
        throw incompleteEnvelope();
      }
    } finally {
      this.fail(new ConnectError("the reader left", Code.Canceled));
    }
  }

  /** Waits for more. */
  async #progress(): Promise<void> {
    this.#throwError();
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.stream?.resume();
    });
    this.#throwError();
  }

  #throwError(): void {
    if (this.#error !== undefined) {
      throw this.#error;
    }
  }
}

type AnyCall = StreamCall<DescMessage, DescMessage>;

// One function for all streams.
function onHeaders(stream: Stream): void {
  (stream.context as AnyCall).answered(stream);
}

function onData(stream: Stream, chunk: Buffer, end: boolean): void {
  (stream.context as AnyCall).received(stream, chunk, end);
}
