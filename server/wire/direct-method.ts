import { setImmediate as nextTurn } from "node:timers/promises";
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Metadata } from "../calls/metadata.ts";
import type { MethodRow } from "../calls/methods.ts";
import type { CallRecord } from "../calls/record.ts";
import type { CallScope } from "../calls/scope.ts";
import type { ServedMethod, StreamMethod, UnaryMethod } from "../calls/served-method.ts";
import { toConnectError } from "../calls/status.ts";
import { echoing, PrismError } from "../errors.ts";
import { REASONS } from "../reasons.ts";
import { requestError } from "./connect-policy.ts";
import type { Answer, Exchange } from "./exchange.ts";
import type { DirectForm } from "./forms.ts";
import type { MessageLimits } from "./message-limits.ts";
import type { RequestReader } from "./request-reader.ts";
import { createResponseCodec, gzipped, type ResponseCodec } from "./response-codec.ts";
import { readSingleEnvelope } from "./single-envelope.ts";
import { endOfStream, errorAnswer, headWith } from "./wire-error.ts";
import { COMPRESSED_FLAG } from "./wire-format.ts";

/*
 * The direct path: calls with a single request in the body, from bytes to bytes. Connect's own
 * handlers are the reference and take every other call. They spend most of their time on async
 * iterables, Headers and URLs, which such a call does not need.
 */

/** One call on the direct path. */
export interface DirectCall {
  readonly exchange: Exchange;
  readonly form: DirectForm;
  /** Whether the request is compressed with gzip; in envelopes, whether it may be. */
  readonly zipped: boolean;
  /** Whether the caller can read gzip. */
  readonly gzip: boolean;
  readonly record: CallRecord;
  readonly scope: CallScope;
  /** Resolves when more can be written. */
  drained(): Promise<void>;
}

/**
 * A method on the direct path. Its functions answer the call, tell its policies and close its
 * scope. They throw only for defects.
 */
export interface DirectMethod {
  readonly row: MethodRow;
  /** The limits of its requests. */
  readonly limits: MessageLimits;
  /**
   * Whether the method can be called in this form: Connect has one for single answers and one for
   * streams.
   */
  takes(form: DirectForm): boolean;
  /** Answers a request whose whole body is there. */
  answer(call: DirectCall, body: Uint8Array): Promise<void>;
  /** Answers a request that was not received whole. */
  refuse(call: DirectCall, error: PrismError): void;
  /** Ends a call whose answer nobody awaits: a connection that ends may have a thousand. */
  abandon(call: DirectCall, error: PrismError): void;
}

/** Puts a method on the direct path. */
export function createDirectMethod(target: ServedMethod, reader: RequestReader): DirectMethod {
  const { row, policies } = target;
  const { limits } = reader;
  const codec = createResponseCodec(row.desc.output);
  const kind = target.kind === "unary" ? "unary" : "server-streaming";
  const otherForm = target.kind === "unary" ? "connect-stream" : "connect-unary";

  function abandon(call: DirectCall, error: PrismError): void {
    policies.finish(call.record, error);
    call.scope.close();
  }

  function refuse(call: DirectCall, error: PrismError): void {
    abandon(call, error);
    replyError(call, toConnectError(error, call.record), REASONS[error.reason].httpStatus);
  }

  return {
    row,
    limits,
    takes: ({ form }) => form !== otherForm,
    refuse,
    abandon,
    async answer(call, body) {
      const { form, binary } = call.form;
      call.record.requestBytes = body.byteLength;
      let request: Message;
      try {
        const enveloped = form !== "connect-unary";
        let message = enveloped ? readSingleEnvelope(body, kind, limits, call.zipped) : body;
        if (call.zipped && (!enveloped || body[0] === COMPRESSED_FLAG)) {
          message = await reader.unpack(message, call.scope);
        }
        request = reader.read(message, binary);
      } catch (error) {
        refuse(
          call,
          error instanceof PrismError
            ? echoing(error)
            : requestError(ConnectError.from(error, Code.InvalidArgument)),
        );
        return;
      }
      await (target.kind === "unary"
        ? answerUnary(call, request, target, codec)
        : answerStream(call, request, target, codec));
    },
  };
}

async function answerUnary(
  call: DirectCall,
  request: object,
  { run }: UnaryMethod,
  codec: ResponseCodec,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await run(request, call.record, call.scope, (response) => answerOf(call, response, codec));
  } catch (error) {
    replyError(call, wireError(error));
    return;
  }
  reply(call, answer);
}

/** Sends a whole answer. */
function reply({ exchange, record }: DirectCall, answer: Answer): void {
  record.series?.answer(answer.body?.length ?? 0);
  exchange.reply(answer);
}

/** The whole answer with one response. */
function answerOf(
  { form, gzip, record: { metadata } }: DirectCall,
  response: object,
  codec: ResponseCodec,
): Answer | Promise<Answer> {
  if (form.form === "connect-unary") {
    const body = codec.message(response, form.binary);
    return gzip
      ? gzipAnswer(form, body, metadata)
      : { head: headWith(form.form, form.head, metadata), body, trailer: undefined };
  }
  const head = headWith(form.form, gzip ? form.gzipHead : form.head, metadata);
  const { body: suffix, trailer } = endOfStream(form.form, undefined, metadata?.trailer);
  if (!gzip) {
    return { head, body: codec.envelopes([response], form.binary, suffix), trailer };
  }
  return codec.gzipEnvelopes([response], form.binary, suffix).then((body) => ({ head, body, trailer }));
}

async function gzipAnswer(
  { form, head, gzipHead }: DirectForm,
  message: Uint8Array,
  metadata: Metadata | undefined,
): Promise<Answer> {
  const compressed = await gzipped(message);
  return compressed === undefined
    ? { head: headWith(form, head, metadata), body: message, trailer: undefined }
    : { head: headWith(form, gzipHead, metadata), body: compressed, trailer: undefined };
}

async function answerStream(
  call: DirectCall,
  request: object,
  { open }: StreamMethod,
  codec: ResponseCodec,
): Promise<void> {
  const { exchange, form, gzip, record } = call;
  const batches = open(request, record, call.scope, (batch) =>
    gzip ? codec.gzipEnvelopes(batch, form.binary) : codec.envelopes(batch, form.binary),
  );
  let begun = false;
  let failure: ConnectError | undefined;
  try {
    for (let bytes = await batches.next(); bytes !== undefined; bytes = await batches.next()) {
      // Only now, so that a call that fails at once is answered in one piece.
      if (!begun) {
        begun = true;
        begin(call);
      }
      record.series?.answer(bytes.length);
      // Yields, because a fast store and a socket that takes everything would leave other calls no
      // turn.
      await batches.wait(exchange.write(bytes) ? nextTurn() : call.drained());
    }
  } catch (error) {
    failure = wireError(error);
  } finally {
    batches.close();
  }
  if (!begun && failure !== undefined) {
    replyError(call, failure);
    return;
  }
  if (!begun) {
    begin(call);
  }
  const { body, trailer } = endOfStream(form.form, failure, record.metadata?.trailer);
  if (body !== undefined) {
    record.series?.answer(body.length);
    exchange.write(body);
  }
  exchange.end(trailer);
}

function begin({ exchange, form, gzip, record }: DirectCall): void {
  exchange.begin(headWith(form.form, gzip ? form.gzipHead : form.head, record.metadata));
}

function replyError(call: DirectCall, error: ConnectError, status?: number): void {
  const { form, gzip, record } = call;
  reply(call, errorAnswer(form.form, gzip ? form.gzipHead : form.head, error, status, record.metadata));
}

/** The policies' errors are ready for the wire. Anything else is a defect, and thrown on. */
function wireError(error: unknown): ConnectError {
  if (error instanceof ConnectError) {
    return error;
  }
  throw error;
}
