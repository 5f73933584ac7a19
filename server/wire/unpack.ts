import { createGunzip, gunzipSync } from "node:zlib";
import type { Call } from "../backend/contract.ts";
import { createLane } from "../backend/lane.ts";
import { PrismError } from "../errors.ts";
import { type MessageLimits, messageTooLarge } from "./message-limits.ts";

/** The memory that all requests share while they arrive and are decompressed. */
export interface ReceivingBudget {
  /** False = not so much is left. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** Smaller messages are decompressed at once: another thread would cost more. */
const AT_ONCE_BYTES = 64 * 1024;

/**
 * The most large messages decompressed at a time; the others wait compressed, in order. If hundreds
 * ran at once, none would be done for seconds.
 */
const MAX_UNPACKING = 4;

const unpacking = createLane(MAX_UNPACKING);

const NOTHING = new Uint8Array(0);

/**
 * Decompresses a gzip message, up to the limit and within the budget. An empty one stays empty, as
 * in Connect. Throws PrismError, also if `call` ends while its message waits.
 */
export async function unpack(
  gzip: Uint8Array,
  limits: MessageLimits,
  budget: ReceivingBudget,
  call: Call | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { maxBytes } = limits;
  if (gzip.byteLength === 0) {
    return NOTHING;
  }
  try {
    return maxBytes <= AT_ONCE_BYTES
      ? gunzipSync(gzip, { maxOutputLength: maxBytes })
      : await unpackInTurn(gzip, limits, budget, call);
  } catch (error) {
    if (error instanceof PrismError) {
      throw error;
    }
    throw codeOf(error) === "ERR_BUFFER_TOO_LARGE"
      ? messageTooLarge(limits)
      : new PrismError("malformed_request", "the request is not in gzip, which it says that it is in");
  }
}

async function unpackInTurn(
  gzip: Uint8Array,
  limits: MessageLimits,
  budget: ReceivingBudget,
  call: Call | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  // Waiting messages take memory too.
  if (!budget.take(gzip.byteLength)) {
    throw noRoom();
  }
  try {
    await unpacking.enter(call);
    try {
      return await unpackInPieces(gzip, limits, budget);
    } finally {
      unpacking.leave();
    }
  } finally {
    budget.give(gzip.byteLength);
  }
}

async function unpackInPieces(
  gzip: Uint8Array,
  limits: MessageLimits,
  budget: ReceivingBudget,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Buffer[] = [];
  let taken = 0;
  try {
    // Leaving the loop early destroys it.
    for await (const piece of createGunzip({ chunkSize: AT_ONCE_BYTES }).end(gzip) as AsyncIterable<Buffer>) {
      if (!budget.take(piece.length)) {
        throw noRoom();
      }
      taken += piece.length;
      if (taken > limits.maxBytes) {
        throw messageTooLarge(limits);
      }
      pieces.push(piece);
    }
    return Buffer.concat(pieces, taken);
  } finally {
    budget.give(taken);
  }
}

/** The requests under way are too large together. */
export function noRoom(): PrismError {
  return new PrismError("overloaded", "the server receives more than it has memory for");
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
