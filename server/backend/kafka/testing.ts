import type { NewEvent } from "../streams.ts";
import { AT_LEADER_EPOCH } from "./batch-layout.ts";
import { encodeBatch, sealBatch } from "./batch-writer.ts";
import { EARLIEST, LATEST, type LogEnd, type LogPart, type TopicPart } from "./fetcher.ts";
import { type RecordBatch, readBatches, walkBatch } from "./record-batch.ts";

const NO_PRODUCER = { producerId: -1n, epoch: -1, sequence: -1 };

/** One topic's log in memory, which is read as a {@link Fetcher} reads. */
export class MemoryLog {
  readonly topic: TopicPart;
  /** How often it was fetched from. */
  fetches = 0;
  #batches: RecordBatch[] = [];
  #startOffset = 0;
  #nextOffset = 0;
  /** Where each leader epoch began. */
  readonly #epochs: number[] = [0];
  readonly #fetchBytes: number;

  /** One fetch answers about so many bytes. */
  constructor(id: string, fetchBytes = 1024 * 1024) {
    this.topic = { name: "t", id, leader: 1 };
    this.#fetchBytes = fetchBytes;
  }

  append(events: readonly NewEvent[], batchEvents = 1000): void {
    for (let from = 0; from < events.length; from += batchEvents) {
      const some = events.slice(from, from + batchEvents);
      const bytes = encodeBatch(some, 1);
      sealBatch(bytes, NO_PRODUCER);
      bytes.writeBigInt64BE(BigInt(this.#nextOffset), 0);
      bytes.writeInt32BE(this.#epochs.length - 1, AT_LEADER_EPOCH);
      this.#batches.push(...readBatches(bytes));
      this.#nextOffset += some.length;
    }
  }

  /** As Kafka does when the events before an offset have expired. */
  removeBefore(offset: number): void {
    this.#startOffset = offset;
    this.#batches = this.#batches.filter(({ nextOffset }) => nextOffset > offset);
  }

  /** As a new leader does that lacks the batches from an offset on: a new epoch begins there. */
  elect(nextOffset = this.#nextOffset): void {
    this.#batches = this.#batches.filter((batch) => batch.nextOffset <= nextOffset);
    this.#nextOffset = this.#batches.at(-1)?.nextOffset ?? 0;
    this.#epochs.push(this.#nextOffset);
  }

  endOf = async (): Promise<LogEnd> => ({ offset: this.#nextOffset, epoch: this.#epochs.length - 1 });

  endOfEpoch = async (_: TopicPart, epoch: number): Promise<number> =>
    epoch < 0 ? -1 : (this.#epochs[epoch + 1] ?? this.#nextOffset);

  fetch = async (_: TopicPart, offset: number): Promise<LogPart> => {
    this.fetches++;
    const from = Math.max(offset, this.#startOffset);
    const batches: RecordBatch[] = [];
    let bytes = 0;
    for (const batch of this.#batches) {
      if (batch.nextOffset > from && bytes < this.#fetchBytes) {
        batches.push(batch);
        bytes += batch.bytes.length;
      }
    }
    return {
      offset,
      nextOffset: batches.at(-1)?.nextOffset ?? this.#nextOffset,
      batches,
      bytes,
      startOffset: this.#startOffset,
      endOffset: this.#nextOffset,
    };
  };

  offsetAt = async (_: TopicPart, timeMs: number): Promise<number> => {
    if (timeMs === EARLIEST || timeMs === LATEST) {
      return timeMs === EARLIEST ? this.#startOffset : this.#nextOffset;
    }
    let found = -1;
    for (const batch of this.#batches.filter(({ maxMs }) => maxMs >= timeMs)) {
      walkBatch(batch, this.#startOffset, (offset, timestampMs) => {
        found = timestampMs >= timeMs ? offset : found;
        return found === -1;
      });
      if (found !== -1) {
        break;
      }
    }
    return found;
  };
}
