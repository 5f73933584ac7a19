import type { DescMessage, DescMethodUnary, MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type UnaryResponse } from "@connectrpc/connect";
import type { HeaderList, NoBody, Stream } from "../../http2/index.ts";
import { Call, type CallRequest, type CallTarget } from "./call.ts";
import type { Channel } from "./channel.ts";
import { ENVELOPE_HEAD_BYTES, EnvelopeReader, incompleteEnvelope } from "./envelope.ts";
import { toHeaders } from "./fields.ts";
import { checkStatus } from "./status.ts";

/** A call with one answer, straight on a stream of the engine. */
export class UnaryCall<I extends DescMessage, O extends DescMessage> extends Call {
  readonly #target: CallTarget<DescMethodUnary<I, O>, O>;
  readonly #body: Uint8Array;
  #resolve: (response: UnaryResponse<I, O>) => void = () => {};
  #reject: (error: ConnectError) => void = () => {};

  /** `body` is the message in its envelope. */
  constructor(
    channel: Channel,
    request: CallRequest,
    target: CallTarget<DescMethodUnary<I, O>, O>,
    body: Uint8Array,
  ) {
    super(channel, request);
    this.#target = target;
    this.#body = body;
  }

  /** Makes the call; once. Rejects with ConnectError. */
  run(): Promise<UnaryResponse<I, O>> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.start();
    });
  }

  protected override opened(stream: Stream): void {
    stream.collect(this.#target.readMaxBytes + ENVELOPE_HEAD_BYTES, onBody);
    stream.endWith(this.#body);
  }

  protected override failed(error: ConnectError): void {
    this.#reject(error);
  }

  /** For the stream: the whole body, or why there is none. */
  answered(stream: Stream, body: Buffer | NoBody): void {
    if (this.over) {
      return;
    }
    try {
      const response = this.#read(stream, body);
      this.end();
      this.#resolve(response);
    } catch (error) {
      this.fail(ConnectError.from(error, Code.Internal));
    }
  }

  #read({ headers, trailers }: Stream, body: Buffer | NoBody): UnaryResponse<I, O> {
    const { readMaxBytes, method, parse } = this.#target;
    if (typeof body === "string") {
      throw new ConnectError(
        `message size is larger than configured readMaxBytes ${readMaxBytes}`,
        Code.ResourceExhausted,
      );
    }
    checkStatus(headers, trailers, body.length > 0);
    const reader = new EnvelopeReader(readMaxBytes);
    reader.push(body);
    const message = reader.next();
    if (message === undefined) {
      throw reader.bytes === 0
        ? new ConnectError("protocol error: missing output message for unary method", Code.Unimplemented)
        : incompleteEnvelope();
    }
    if (reader.bytes > 0) {
      throw reader.next() === undefined
        ? incompleteEnvelope()
        : new ConnectError(
            "protocol error: received extra output message for unary method",
            Code.Unimplemented,
          );
    }
    return new Answer(method, parse(message), headers, trailers);
  }
}

/** One function for all streams: a call needs no closure of its own. */
function onBody(stream: Stream, body: Buffer | NoBody): void {
  (stream.context as UnaryCall<DescMessage, DescMessage>).answered(stream, body);
}

/** The answer. Its headers are made when somebody looks at them. */
class Answer<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  readonly #headers: HeaderList;
  readonly #trailers: HeaderList | undefined;

  constructor(
    method: DescMethodUnary<I, O>,
    message: MessageShape<O>,
    headers: HeaderList,
    trailers: HeaderList | undefined,
  ) {
    this.method = method;
    this.message = message;
    this.#headers = headers;
    this.#trailers = trailers;
  }

  get service() {
    return this.method.parent;
  }

  get header(): Headers {
    return toHeaders(this.#headers);
  }

  get trailer(): Headers {
    return toHeaders(this.#trailers);
  }
}
