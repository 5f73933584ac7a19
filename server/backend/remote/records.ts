import type {
  DescMessage,
  DescMethodServerStreaming,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { ItemMetadataSchema } from "../../../gen/prism/common/metadata_pb.ts";
import {
  type CompareAndSwapResponse,
  type Item,
  type ItemSchema,
  KeyValueService,
  type PutRequestSchema,
} from "../../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { packMetadata, unpackMetadata } from "../../item-metadata.ts";
import { SCAN_PAGE_ENTRIES } from "../../limits.ts";
import {
  bytesOfItem,
  type HeldItem,
  type ItemPage,
  type ItemRange,
  type ItemWrite,
  type RecordPut,
  type SwapAnswer,
} from "../records.ts";
import { toTtlSeconds } from "./commits.ts";

/*
 * Records of the contract as messages, and the answers back. `secondMs` is the number of the
 * contract's milliseconds in a second of the plugin's clock.
 */

/** The request for a put. */
export function toPutRequest(
  namespace: string,
  { id, items }: RecordPut,
  secondMs: number,
): MessageInitShape<typeof PutRequestSchema> & { readonly namespace: string } {
  return { namespace, id, items: items.map((item) => toItem(item, secondMs)) };
}

function toItem(
  { key, value, metadata, ttlMs }: ItemWrite,
  secondMs: number,
): MessageInitShape<typeof ItemSchema> {
  const ttlSeconds = toTtlSeconds(ttlMs, secondMs);
  return { key, value, metadata: { ...unpackMetadata(metadata), ttlSeconds } };
}

/** An item that the plugin holds. */
export function fromItem({ key, value, metadata }: Item, secondMs: number): HeldItem {
  const { ttlSeconds, createdAtMillis, updatedAtMillis } = metadata ?? create(ItemMetadataSchema);
  const toMs = (millis: bigint) => Math.floor((Number(millis) * secondMs) / 1000);
  return {
    key,
    value,
    metadata: packMetadata(metadata),
    ttlMs: Number(ttlSeconds) * secondMs,
    createdAtMs: toMs(createdAtMillis),
    updatedAtMs: toMs(updatedAtMillis),
  };
}

/** What the plugin says of a swap. */
export function fromSwapResponse({ success, actualValue }: CompareAndSwapResponse): SwapAnswer {
  return success ? { swapped: true } : { swapped: false, actual: actualValue };
}

/** The items in the order of the keys. */
export function inOrderOf(
  keys: readonly Uint8Array[],
  items: readonly HeldItem[],
): readonly (HeldItem | undefined)[] {
  const nameOf = (key: Uint8Array) => Buffer.from(key).toString("latin1");
  const found = new Map(items.map((item) => [nameOf(item.key), item]));
  return keys.map((key) => found.get(nameOf(key)));
}

/**
 * Whether a page is one of a scan. Else the plugin has to answer the whole range at once: it is a
 * part of the record, or more is wanted than a page of a scan, so as to be of one moment.
 */
export function isOfScan({ start, end, maxItems }: ItemRange): boolean {
  return start === undefined && end === undefined && maxItems <= SCAN_PAGE_ENTRIES;
}

/** Starts a stream of answers that ends when `signal` aborts. */
type Stream = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodServerStreaming<I, O>,
  input: MessageInitShape<I> & { readonly namespace: string },
  signal: AbortSignal,
) => Promise<AsyncIterator<MessageShape<O>>>;

/**
 * Reads one page of a scan. It ends with the message that brings its bytes, because only there the
 * plugin tells where to go on; `next` is the plugin's cursor. Throws the transport's errors.
 */
export async function readScanPage(
  stream: Stream,
  namespace: string,
  { id, after, maxItems, maxBytes }: ItemRange,
  secondMs: number,
): Promise<ItemPage> {
  const leaving = new AbortController();
  const request = { namespace, id, limit: maxItems, ...(after && { cursor: { token: after } }) };
  const messages = await stream(KeyValueService.method.scan, request, leaving.signal);
  const items: HeldItem[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value: message } = await messages.next();
      if (done === true) {
        return { items, next: undefined };
      }
      for (const item of message.items) {
        const held = fromItem(item, secondMs);
        items.push(held);
        bytes += bytesOfItem(held);
      }
      const next = message.nextCursor?.token;
      if (next === undefined || items.length >= maxItems || bytes >= maxBytes) {
        return { items, next };
      }
    }
  } finally {
    leaving.abort();
  }
}
