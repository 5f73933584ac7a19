import type { DescMessage, Message } from "@bufbuild/protobuf";
import type { ConnectRouterOptions } from "@connectrpc/connect";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Call } from "../backend/contract.ts";
import { toConnectError } from "../calls/status.ts";
import { PrismError } from "../errors.ts";
import { BINARY_OPTIONS, decoderOf } from "./decoder.ts";
import { createJsonReader, type UnknownFields } from "./json-reader.ts";
import { createAroundCheck, type MessageLimits, messageLimits } from "./message-limits.ts";
import { type ReceivingBudget, unpack } from "./unpack.ts";
import { JSON_OPTIONS } from "./wire-format.ts";

/** Reads the requests of one type, within its limits. */
export interface RequestReader {
  readonly limits: MessageLimits;
  /**
   * Reads a message from protobuf or JSON. Throws PrismError, or an Error that says what is wrong.
   */
  read(message: Uint8Array, binary: boolean): Message;
  /** Decompresses a message. Throws PrismError. `call` is the message's call, if it is known. */
  unpack(gzip: Uint8Array, call?: Call): Promise<Uint8Array<ArrayBuffer>>;
}

/** The reader of a type; the same for every call. */
export type RequestReaders = (desc: DescMessage) => RequestReader;

/** How requests are read. */
export interface ReadingOptions {
  readonly maxValueBytes: number;
  /** For JSON. */
  readonly unknownFields: UnknownFields;
  readonly budget: ReceivingBudget;
}

/** Makes the readers of all types on demand. */
export function createRequestReaders(options: ReadingOptions): RequestReaders {
  const readers = new Map<DescMessage, RequestReader>();
  return (desc) => {
    let reader = readers.get(desc);
    if (reader === undefined) {
      reader = createRequestReader(desc, options);
      readers.set(desc, reader);
    }
    return reader;
  };
}

function createRequestReader(desc: DescMessage, options: ReadingOptions): RequestReader {
  const limits = messageLimits(desc, options.maxValueBytes);
  const checkAround = createAroundCheck(desc, limits);
  const readJson = createJsonReader(desc, limits, options.unknownFields);
  const decode = decoderOf(desc);
  return {
    limits,
    read(message, binary) {
      if (!binary) {
        return readJson(message);
      }
      checkAround(message);
      return decode(message);
    },
    unpack: (gzip, call) => unpack(gzip, limits, options.budget, call),
  };
}

/**
 * When Connect reads, the call is unknown; the protocol layer around it reports the error with its
 * call.
 */
const NO_CALL = { requestId: "", namespace: "" };

/**
 * Options that make Connect's own handlers use this reader. They pass JSON as text, so the reader
 * runs earlier, where the bytes become text. Large messages come on the direct path.
 */
export function connectOptions(reader: RequestReader): Partial<ConnectRouterOptions> {
  const textDecoder = {
    decode(bytes: Uint8Array): string {
      try {
        reader.read(bytes, false);
      } catch (error) {
        throw forConnect(error);
      }
      return JSON_OPTIONS.textDecoder.decode(bytes);
    },
  };
  const jsonOptions = { ...JSON_OPTIONS, textDecoder };
  const gzip = {
    ...compressionGzip,
    decompress: (bytes: Uint8Array) =>
      reader.unpack(bytes).catch((error: unknown) => {
        throw forConnect(error);
      }),
  };
  return {
    readMaxBytes: reader.limits.maxBytes,
    binaryOptions: BINARY_OPTIONS,
    jsonOptions,
    // Brotli at its default level takes milliseconds for kilobytes.
    acceptCompression: [gzip],
  };
}

function forConnect(error: unknown): unknown {
  return error instanceof PrismError ? toConnectError(error, NO_CALL) : error;
}
