import {
  appendField,
  type BodyBudget,
  type EncodedHeaders,
  ErrorCode,
  encodeHeaders,
  fieldName,
  type Stream,
} from "../../http2/index.ts";
import type { FieldPairs } from "../calls/metadata.ts";
import type { Answer, AnswerHead, Exchange, ExchangeListener, NoBody } from "./exchange.ts";
import { OK_TRAILER } from "./wire-error.ts";

const REQUEST_ID = fieldName("x-request-id");
const OK_TRAILER_BLOCK = encodeHeaders(OK_TRAILER);

/** A stream of the engine in `http2/`. */
export class EngineExchange implements Exchange {
  readonly requestId: string;
  readonly #stream: Stream;
  readonly #bodies: BodyBudget;

  constructor(stream: Stream, requestId: string, bodies: BodyBudget) {
    this.requestId = requestId;
    this.#stream = stream;
    this.#bodies = bodies;
  }

  get socket(): object {
    return this.#stream.socket;
  }

  header(name: string): string | undefined {
    return this.#stream.header(name);
  }

  collect(maxBytes: number, listener: ExchangeListener): void {
    const stream = this.#stream;
    stream.setContext(listener);
    stream.whenDrained(onDrain);
    stream.whenClosed(onClose);
    stream.collect(maxBytes, onBody, this.#bodies);
  }

  awaitEvent(): void {
    this.#stream.answerLater();
  }

  reply({ head, body, trailer }: Answer): void {
    const headers = this.#headers(head, head.sized ? (body?.byteLength ?? 0) : undefined);
    if (body === undefined) {
      this.#stream.respond(headers, trailer === undefined);
      this.end(trailer);
    } else {
      this.#stream.reply(headers, body, trailer && trailerBlock(trailer));
    }
  }

  begin(head: AnswerHead): void {
    this.#stream.respond(this.#headers(head, undefined));
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream.write(bytes) || this.#stream.closed;
  }

  end(trailer: FieldPairs | undefined): void {
    this.#stream.end(trailer && trailerBlock(trailer));
  }

  abort(): void {
    this.#stream.reset(ErrorCode.INTERNAL_ERROR);
  }

  #headers(head: AnswerHead, length: number | undefined): EncodedHeaders {
    const block = headBlock(head);
    return appendField(
      length === undefined ? block : encodeHeaders(["content-length", String(length)], block),
      REQUEST_ID,
      this.requestId,
    );
  }
}

// One function for all streams, so that a call needs no closures.
const listenerOf = (stream: Stream) => stream.context as ExchangeListener;
const onBody = (stream: Stream, body: Uint8Array | NoBody) => listenerOf(stream).onBody(body);
const onDrain = (stream: Stream) => listenerOf(stream).onDrain();
const onClose = (stream: Stream) => listenerOf(stream).onClose();

function trailerBlock(trailer: FieldPairs): EncodedHeaders {
  return trailer === OK_TRAILER ? OK_TRAILER_BLOCK : encodeHeaders(trailer);
}

/** The encoded block of each head for the current second. The next second has another date. */
const heads = new Map<AnswerHead, ReturnType<typeof encodeHeaders>>();
let secondOfHeads = 0;

function headBlock(head: AnswerHead): ReturnType<typeof encodeHeaders> {
  const second = Math.floor(Date.now() / 1000);
  if (second !== secondOfHeads) {
    secondOfHeads = second;
    heads.clear();
  }
  let block = heads.get(head);
  if (block === undefined) {
    const date = new Date(second * 1000).toUTCString();
    block = encodeHeaders([":status", String(head.status), ...head.fields, "date", date]);
    heads.set(head, block);
  }
  return block;
}
