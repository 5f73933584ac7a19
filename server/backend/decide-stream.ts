import { Refusal } from "./contract.ts";
import type { EventAppend, NewEvent, StreamConfig } from "./streams.ts";

/**
 * What becomes of a stream that is `held` when it is created as `wanted`. `undefined` = it is not
 * there.
 */
export function decideStream(held: StreamConfig | undefined, wanted: StreamConfig): StreamConfig | Refusal {
  const { retentionMs, partitions, replicationFactor } = wanted;
  for (const [field, has, wants] of [
    ["partitions", held?.partitions, partitions],
    ["replication_factor", held?.replicationFactor, replicationFactor],
  ] as const) {
    if (has !== undefined && wants !== 0 && wants !== has) {
      return new Refusal("stream_differs", `the stream has ${field} ${has}, and that cannot be changed`, {
        field: `config.${field}`,
      });
    }
  }
  return {
    retentionMs,
    partitions: held?.partitions ?? (partitions || 1),
    replicationFactor: held?.replicationFactor ?? (replicationFactor || 1),
  };
}

/**
 * The refusal of an append with an event of this time or earlier, where such an event is to be
 * refused. `nowMs` is the time of events that have none.
 */
export function refuseLate(
  { events, refusesExpired }: Pick<EventAppend, "events" | "refusesExpired">,
  untilMs: number,
  nowMs: number,
): Refusal | undefined {
  const late = refusesExpired ? events.findIndex(({ timestampMs }) => (timestampMs || nowMs) <= untilMs) : -1;
  return late < 0 ? undefined : refuseExpired(late);
}

/** How many of the events are of this time or earlier. `nowMs` as above. */
export function countExpired(events: readonly NewEvent[], untilMs: number, nowMs: number): number {
  return events.filter(({ timestampMs }) => (timestampMs || nowMs) <= untilMs).length;
}

/** The refusal of an append because of the event at this place. */
export function refuseExpired(place: number): Refusal {
  const field = `events[${place}].timestamp_millis`;
  return new Refusal("invalid_field", `${field} is older than what the stream keeps`, { field });
}
