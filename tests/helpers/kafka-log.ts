import { CALL } from "../../server/backend/conformance/harness.ts";
import { type Cluster, isTopic } from "../../server/backend/kafka/cluster.ts";
import { Fetcher } from "../../server/backend/kafka/fetcher.ts";
import { type RecordBatch, readEvent, walkBatch } from "../../server/backend/kafka/record-batch.ts";

/** Reads the whole log of a topic. */
export async function readLog(cluster: Cluster, name: string): Promise<readonly RecordBatch[]> {
  const [topic] = await cluster.topics([name]);
  if (!isTopic(topic)) {
    throw new Error(`${name} is not there`);
  }
  const batches: RecordBatch[] = [];
  for (let offset = 0; ; ) {
    // A fetch ends with the segment, and an event of a much later time begins one.
    const part = await new Fetcher(cluster).fetch(topic, offset, CALL);
    batches.push(...part.batches);
    offset = part.nextOffset;
    if (offset >= part.endOffset) {
      return batches;
    }
  }
}

/** The payloads of a log as text, by their offsets. */
export function textsOf(batches: readonly RecordBatch[]): ReadonlyMap<number, string> {
  const texts = new Map<number, string>();
  for (const batch of batches) {
    walkBatch(batch, 0, (offset, timestampMs, record) => {
      const event = readEvent(offset, timestampMs, record, {});
      return texts.set(offset, `${event?.payload}`).size > 0;
    });
  }
  return texts;
}
