import { create, type DescMessage, ScalarType, toJsonString } from "@bufbuild/protobuf";
import { compressionGzip } from "@connectrpc/connect-node";
import { type AnyBatch, Columns } from "../calls/columns.ts";
import { columnsEncoder, encoderOf } from "./encoder.ts";
import { MessageWriter } from "./message-writer.ts";
import { COMPRESSED_FLAG, envelope, JSON_OPTIONS } from "./wire-format.ts";

/** Smaller messages are not compressed, as in Connect. */
const COMPRESS_MIN_BYTES = 1024;

/**
 * Larger values go into the JSON piece by piece: as text they would be in memory three times, and
 * take at least three times as long.
 */
const LARGE_VALUE_BYTES = 64 * 1024;

/** A multiple of three, so that only the last piece of base64 can have padding. */
const PIECE_BYTES = 48 * 1024;

const NOTHING = new Uint8Array(0);

/** Shared by all calls, because what is written is taken out in the same turn. */
const writer = new MessageWriter();

/** Encodes responses, or arguments of `create` for them. */
export interface ResponseCodec {
  /** One response, in protobuf or JSON. */
  message(response: object, binary: boolean): Uint8Array;
  /** Each response in its own envelope, followed by `suffix`. */
  envelopes(responses: AnyBatch, binary: boolean, suffix?: Uint8Array): Uint8Array;
  /** The same, with large enough messages compressed. */
  gzipEnvelopes(responses: AnyBatch, binary: boolean, suffix?: Uint8Array): Promise<Uint8Array>;
}

/** The codec of a response type. */
export function createResponseCodec(output: DescMessage): ResponseCodec {
  const encode = encoderOf(output);
  const json = createJsonWriter(output);

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
      // A write that threw may have left something.
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

function createJsonWriter(output: DescMessage): (response: object) => Buffer {
  const text = (response: object) =>
    toJsonString(output, create(output, response as Record<string, unknown>), JSON_OPTIONS);
  const { fields } = output;
  const field = fields.find((each) => each.fieldKind === "scalar" && each.scalar === ScalarType.BYTES);
  if (field === undefined || fields.some(({ fieldKind }) => fieldKind !== "scalar")) {
    return (response) => Buffer.from(text(response));
  }
  const { localName } = field;
  // No JSON string can contain this, because its quotes would be escaped.
  const empty = `"${field.jsonName}":""`;
  return (response) => {
    const value: unknown = Reflect.get(response, localName);
    if (!(value instanceof Uint8Array) || value.length < LARGE_VALUE_BYTES) {
      return Buffer.from(text(response));
    }
    const around = text({ ...response, [localName]: NOTHING });
    const at = around.indexOf(empty) + empty.length - 1;
    return withBase64(around.slice(0, at), value, around.slice(at));
  };
}

function withBase64(before: string, { buffer, byteOffset, length }: Uint8Array, after: string): Buffer {
  const value = Buffer.from(buffer, byteOffset, length);
  const textBytes = Buffer.byteLength(before) + Math.ceil(length / 3) * 4 + Buffer.byteLength(after);
  const json = Buffer.allocUnsafeSlow(textBytes);
  let end = json.write(before);
  for (let at = 0; at < length; at += PIECE_BYTES) {
    end += json.write(value.toString("base64", at, Math.min(length, at + PIECE_BYTES)), end, "latin1");
  }
  json.write(after, end);
  return json;
}

/** Compresses a message if that is worth it; `undefined` = it is not. */
export async function gzipped(message: Uint8Array): Promise<Uint8Array | undefined> {
  return message.length < COMPRESS_MIN_BYTES ? undefined : await compressionGzip.compress(message);
}

async function gzipEnvelope(message: Uint8Array): Promise<Uint8Array> {
  const compressed = await gzipped(message);
  return compressed === undefined ? envelope(0, message) : envelope(COMPRESSED_FLAG, compressed);
}
