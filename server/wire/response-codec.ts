import { create, type DescMessage, toJsonString } from "@bufbuild/protobuf";
import { compressionGzip } from "@connectrpc/connect-node";
import { type AnyBatch, Columns } from "../calls/columns.ts";
import { columnsEncoder, encoderOf } from "./encoder.ts";
import { MessageWriter } from "./message-writer.ts";
import { COMPRESSED_FLAG, envelope, JSON_OPTIONS } from "./wire-format.ts";

/** Messages below this size are not compressed, as in Connect. */
const COMPRESS_MIN_BYTES = 1024;

const NOTHING = new Uint8Array(0);

/** Shared by all calls: what is written into it is taken out in the same turn. */
const writer = new MessageWriter();

/** From responses, or what `create` makes them of, to bytes. */
export interface ResponseCodec {
  /** One response, in protobuf or JSON. */
  message(response: object, binary: boolean): Uint8Array;
  /** Each response in an envelope of its own, and `suffix` behind them. */
  envelopes(responses: AnyBatch, binary: boolean, suffix?: Uint8Array): Uint8Array;
  /** The same, with what is large enough compressed. */
  gzipEnvelopes(responses: AnyBatch, binary: boolean, suffix?: Uint8Array): Promise<Uint8Array>;
}

/** The codec of a response type. */
export function createResponseCodec(output: DescMessage): ResponseCodec {
  const encode = encoderOf(output);

  function json(response: object): Buffer {
    return Buffer.from(
      toJsonString(output, create(output, response as Record<string, unknown>), JSON_OPTIONS),
    );
  }

  function write(response: object, binary: boolean): void {
    if (binary) {
      encode(response, writer);
    } else {
      writer.raw(json(response));
    }
  }

  function message(response: object, binary: boolean): Uint8Array {
    if (!binary) {
      return json(response);
    }
    writer.clear();
    encode(response, writer);
    return writer.take();
  }

  return {
    message,

    envelopes(responses, binary, suffix = NOTHING) {
      // Where writing threw before, something is left.
      writer.clear();
      if (binary && responses instanceof Columns) {
        const encodeRow = columnsEncoder(output, responses);
        for (let i = 0; i < responses.length; i++) {
          const start = writer.beginEnvelope();
          encodeRow(i, writer);
          writer.endEnvelope(start, 0);
        }
      } else {
        for (const response of responses) {
          const start = writer.beginEnvelope();
          write(response, binary);
          writer.endEnvelope(start, 0);
        }
      }
      writer.raw(suffix);
      return writer.take();
    },

    async gzipEnvelopes(responses, binary, suffix = NOTHING) {
      const chunks: Uint8Array[] = [];
      for (const response of responses) {
        chunks.push(await gzipEnvelope(message(response, binary)));
      }
      return Buffer.concat([...chunks, suffix]);
    },
  };
}

/** Compresses a message that is worth it; `undefined` where it is not. */
export async function gzipped(message: Uint8Array): Promise<Uint8Array | undefined> {
  return message.length < COMPRESS_MIN_BYTES ? undefined : await compressionGzip.compress(message);
}

async function gzipEnvelope(message: Uint8Array): Promise<Uint8Array> {
  const compressed = await gzipped(message);
  return compressed === undefined ? envelope(0, message) : envelope(COMPRESSED_FLAG, compressed);
}
