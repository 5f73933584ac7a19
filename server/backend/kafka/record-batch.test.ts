import {
  type CompressionAlgorithmValue,
  compressionsAlgorithms,
  crc32c,
  createRecordsBatch,
  Reader,
  readRecordsBatches,
} from "@platformatic/kafka";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_EVENT_TIME_MS } from "../../limits.ts";
import type { HeldEvent, NewEvent, Tags } from "../streams.ts";
import { encodeBatch, sealBatch } from "./batch-writer.ts";
import { readBatches, readEvent, walkBatch } from "./record-batch.ts";
import { MAX_BATCH_BYTES } from "./topic-config.ts";

const NOW_MS = 1_700_000_000_000;
const ORIGIN = { producerId: 4_294_967_299n, epoch: 3, sequence: 2_147_483_000 };

/** A batch as a broker holds it. */
function batchOf(events: readonly NewEvent[], firstOffset: number, origin = ORIGIN): Buffer {
  const batch = encodeBatch(events, NOW_MS);
  sealBatch(batch, origin);
  batch.writeBigInt64BE(BigInt(firstOffset), 0);
  return batch;
}

function decode(records: Uint8Array, fromOffset = 0, tags: Tags = {}) {
  const events: HeldEvent[] = [];
  let nextOffset = fromOffset;
  for (const batch of readBatches(records)) {
    walkBatch(batch, fromOffset, (offset, timestampMs, record) => {
      const event = readEvent(offset, timestampMs, record, tags);
      return event === undefined || events.push(event) > 0;
    });
    nextOffset = batch.nextOffset;
  }
  return { events, nextOffset };
}

function held(events: readonly NewEvent[], firstOffset: number): HeldEvent[] {
  return events.map(({ timestampMs, payload, tags }, i) => ({
    offset: firstOffset + i,
    timestampMs: timestampMs || NOW_MS,
    payload: Buffer.from(payload),
    tags,
  }));
}

function event(payload: string, tags: Tags = {}, timestampMs = NOW_MS): NewEvent {
  return { timestampMs, payload: Buffer.from(payload), tags };
}

const text = fc.string({ unit: "binary", maxLength: 40 });
const someEvents = fc.array(
  fc.record({
    timestampMs: fc.oneof(
      fc.constantFrom(0, 1, MAX_EVENT_TIME_MS),
      fc.integer({ min: NOW_MS - 70, max: NOW_MS + 70 }),
      fc.integer({ min: 1, max: MAX_EVENT_TIME_MS }),
    ),
    payload: fc.uint8Array({ maxLength: 200 }),
    tags: fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true }),
  }),
  { minLength: 1, maxLength: 100 },
);
const firstOffsets = fc.oneof(fc.constantFrom(0, 2 ** 32 - 1, 2 ** 40), fc.nat());

describe("batches of records", () => {
  test("what was encoded is read again", () => {
    fc.assert(
      fc.property(
        fc.array(someEvents, { maxLength: 4 }),
        firstOffsets,
        fc.nat(150),
        (batches, first, from) => {
          let next = first;
          const encoded: Buffer[] = [];
          const all: HeldEvent[] = [];
          for (const events of batches) {
            encoded.push(batchOf(events, next));
            all.push(...held(events, next));
            next += events.length;
          }
          const fromOffset = first + from;
          const records = Buffer.concat(encoded);
          expect(decode(records, fromOffset)).toEqual({
            events: all.filter(({ offset }) => offset >= fromOffset),
            nextOffset: batches.length === 0 ? fromOffset : next,
          });
        },
      ),
    );
  });

  test("the client reads what was encoded", () => {
    fc.assert(
      fc.property(someEvents, firstOffsets, (events, first) => {
        const batch = batchOf(events, first);
        const [read] = readRecordsBatches(Reader.from(batch));
        expect(read).toMatchObject({
          firstOffset: BigInt(first),
          length: batch.length - 12,
          magic: 2,
          crc: crc32c(batch.subarray(21)),
          attributes: 0,
          lastOffsetDelta: events.length - 1,
          firstTimestamp: BigInt(events[0]?.timestampMs || NOW_MS),
          maxTimestamp: BigInt(Math.max(...events.map(({ timestampMs }) => timestampMs || NOW_MS))),
          producerId: ORIGIN.producerId,
          producerEpoch: ORIGIN.epoch,
          firstSequence: ORIGIN.sequence,
        });
        expect(
          read?.records.map(({ timestampDelta, offsetDelta, key, value, headers }) => ({
            offset: first + offsetDelta,
            timestampMs: Number((read?.firstTimestamp ?? 0n) + timestampDelta),
            key,
            payload: Buffer.from(value ?? ""),
            tags: Object.fromEntries(headers.map(([name, of]) => [`${name}`.slice(2), `${of}`])),
          })),
        ).toEqual(held(events, first).map((one) => ({ ...one, key: null })));
      }),
    );
  });

  test.for(["none", "gzip", "snappy", "lz4", "zstd"] satisfies CompressionAlgorithmValue[])(
    "a batch of another client is read: compression %s",
    (compression) => {
      const messages = Array.from({ length: 50 }, (_, i) => ({
        topic: "t",
        key: Buffer.from(`key ${i}`),
        value: Buffer.from(`value ${i} ${"x".repeat(i)}`),
        headers: new Map([
          [Buffer.from("trace"), Buffer.from("not a tag")],
          [Buffer.from("t:host"), Buffer.from(`h${i % 3}`)],
          [Buffer.from("t:"), Buffer.from("")],
        ]),
        timestamp: BigInt(NOW_MS - i),
      }));
      const batch = createRecordsBatch(messages, { compression }).buffer;
      batch.writeBigInt64BE(7n, 0);
      expect(decode(batch, 47, { host: "h2" })).toEqual({
        events: [41, 44, 47].map((i) => ({
          offset: 7 + i,
          timestampMs: NOW_MS - i,
          payload: messages[i]?.value,
          tags: { host: `h${i % 3}`, "": "" },
        })),
        nextOffset: 57,
      });
    },
  );

  test("no value and a header without a value are empty", () => {
    const batch = createRecordsBatch([
      {
        topic: "t",
        value: null as unknown as Buffer,
        headers: new Map([[Buffer.from("t:a"), null as unknown as Buffer]]),
        timestamp: BigInt(NOW_MS),
      },
    ]).buffer;
    expect(decode(batch).events).toEqual(held([event("", { a: "" })], 0));
  });

  test("times that Prism does not take become the nearest that it takes", () => {
    const times = [-1n, 0n, 1n, BigInt(MAX_EVENT_TIME_MS) + 5n, 2n ** 63n - 1n].map((time) => {
      const batch = batchOf([event("")], 0);
      batch.writeBigInt64BE(time, 27);
      batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
      return decode(batch).events[0]?.timestampMs;
    });
    expect(times).toEqual([1, 1, 1, MAX_EVENT_TIME_MS, MAX_EVENT_TIME_MS]);
  });

  test("the broker's time counts where the topic says so", () => {
    const batch = batchOf([event("a", {}, 5), event("b", {}, 9)], 0);
    batch.writeInt16BE(1 << 3, 21);
    batch.writeBigInt64BE(77n, 35);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    expect(decode(batch).events.map(({ timestampMs }) => timestampMs)).toEqual([77, 77]);
  });

  test("control batches and cut off batches hold no events", () => {
    const control = batchOf([event("not an event")], 1);
    control.writeInt16BE((1 << 5) | (1 << 4), 21);
    control.writeUInt32BE(crc32c(control.subarray(21)), 17);
    const first = batchOf([event("a")], 0);
    const cut = batchOf([event("b"), event("c")], 2);
    for (const size of [0, 5, 12, 60, cut.length - 1]) {
      const read = decode(Buffer.concat([first, control, cut.subarray(0, size)]));
      expect(read).toEqual({ events: held([event("a")], 0), nextOffset: 2 });
    }
    expect(decode(first.subarray(0, 20), 4)).toEqual({ events: [], nextOffset: 4 });
  });

  test("a visit ends where it wants no more, and times can be read alone", () => {
    const [batch] = readBatches(batchOf([event("a", {}, 3), event("b", {}, 1), event("c", {}, 2)], 5));
    const visited: [number, number][] = [];
    const visit = (most: number) =>
      batch && walkBatch(batch, 6, (offset, timeMs) => visited.push([offset, timeMs]) < most);
    expect(visit(1)).toBe(6);
    expect(visit(4)).toBeUndefined();
    expect(visited).toEqual([
      [6, 1],
      [6, 1],
      [7, 2],
    ]);
    expect(batch).toMatchObject({ firstOffset: 5, nextOffset: 8, maxMs: 3 });
  });

  test("an event keeps nothing of the batch that it was read from", () => {
    const batch = batchOf([event("payload")], 0);
    const [read] = decode(batch).events;
    batch.fill(0);
    expect(`${read?.payload}`).toBe("payload");
  });

  test("damaged bytes are told, and never read for ever", () => {
    const batch = batchOf([event("some payload", { host: "a" }), event("more", { host: "b" })], 0);
    for (let at = 8; at < batch.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(batch);
        damaged[at] = (damaged[at] ?? 0) ^ flip;
        // The leader's epoch is of no interest.
        const isKept = at >= 12 && at < 16;
        expectDamage(damaged, { canBeWhole: isKept, canBeCut: at < 12 });
        damaged.writeUInt32BE(crc32c(damaged.subarray(21)), 17);
        expectDamage(damaged, { canBeWhole: true, canBeCut: at < 12 });
      }
    }
  });

  /** A batch of one event whose records are these bytes. */
  function compressed(method: number, records: Buffer): Buffer {
    const batch = Buffer.concat([batchOf([event("")], 0).subarray(0, 61), records]);
    batch.writeInt32BE(batch.length - 12, 8);
    batch.writeInt16BE(method, 21);
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
    return batch;
  }

  describe("a small batch does not fill the memory", () => {
    const { gzip, snappy, zstd } = compressionsAlgorithms;
    const half = Buffer.alloc(MAX_BATCH_BYTES / 2);
    const large = Buffer.alloc(MAX_BATCH_BYTES + 1);
    const halfSnappy = () => snappy.compressSync(half) as Buffer;

    test.for<[string, number, () => Buffer, boolean]>([
      ["gzip", 1, () => gzip.compressSync(large) as Buffer, true],
      ["gzip in parts", 1, () => bomb(3, gzip.compressSync(half) as Buffer), true],
      ["snappy", 2, () => snappy.compressSync(large) as Buffer, true],
      ["snappy that only says so", 2, () => Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), true],
      ["snappy of Java", 2, () => xerial(3, halfSnappy()), true],
      ["snappy of Java, not too large", 2, () => xerial(2, halfSnappy()), false],
      ["lz4", 3, () => lz4Frame(25, 0), true],
      ["lz4, not too large", 3, () => lz4Frame(24, 0), false],
      ["lz4 with a wrong size", 3, () => lz4Frame(25, 1 << 3), true],
      ["zstd", 4, () => zstd.compressSync(large) as Buffer, true],
    ])("%s", ([, method, make, isLarge]) => {
      const message = isLarge ? `more than ${MAX_BATCH_BYTES} bytes` : "a record is cut off";
      expect(() => decode(compressed(method, make()))).toThrow(
        expect.objectContaining({
          reason: "corrupt_data",
          cause: expect.objectContaining({ message: expect.stringContaining(message) }),
        }),
      );
    });
  });

  test("what is behind the end of a frame of lz4 is not read", () => {
    const frame = compressionsAlgorithms.lz4.compressSync(batchOf([event("a")], 0).subarray(61)) as Buffer;
    const read = decode(compressed(3, Buffer.concat([frame, lz4Frame(25, 0)])));
    expect(read.events).toEqual(held([event("a")], 0));
  });
});

function bomb(times: number, part: Buffer): Buffer {
  return Buffer.concat(new Array<Buffer>(times).fill(part));
}

/** As Java frames snappy: each block has its size before it. */
function xerial(times: number, block: Buffer): Buffer {
  const head = Buffer.from("82534e4150505900" + "00000001" + "00000001", "hex");
  const size = Buffer.alloc(4);
  size.writeUInt32BE(block.length);
  return Buffer.concat([head, bomb(times, Buffer.concat([size, block]))]);
}

/**
 * A frame of blocks of 4 MiB zeros. With the flag for a size it has that of one byte, and a
 * checksum of the head that is that of a head without.
 */
function lz4Frame(blocks: number, flags: number): Buffer {
  // One literal, then one match with what is before it; at the end five literals.
  const match = 4 * 1024 * 1024 - 6;
  const more = match - 4 - 15;
  const lengths = Buffer.alloc(Math.floor(more / 255) + 1, 255);
  lengths[lengths.length - 1] = more % 255;
  const block = Buffer.concat([Buffer.from([0x1f, 0, 1, 0]), lengths, Buffer.from([0x50, 0, 0, 0, 0, 0])]);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(block.length);
  const told = Buffer.from(flags === 0 ? [] : [1, 0, 0, 0, 0, 0, 0, 0]);
  const described = Buffer.concat([Buffer.from([0x60 | flags, 0x70]), told]);
  const head = Buffer.concat([Buffer.from([0x04, 0x22, 0x4d, 0x18]), described, Buffer.from([0x73])]);
  return Buffer.concat([head, bomb(blocks, Buffer.concat([size, block])), Buffer.alloc(4)]);
}

/** Reads it all, or throws `corrupt_data`. */
function expectDamage(
  records: Buffer,
  { canBeWhole, canBeCut }: { readonly canBeWhole: boolean; readonly canBeCut: boolean },
): void {
  try {
    const { events } = decode(records);
    expect(canBeWhole || (canBeCut && events.length === 0)).toBe(true);
  } catch (error) {
    expect(error).toMatchObject({ reason: "corrupt_data" });
  }
}
