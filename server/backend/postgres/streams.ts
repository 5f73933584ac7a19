import { type Call, Refusal, type StreamStore } from "../contract.ts";
import { decideStream, refuseExpired } from "../decide-stream.ts";
import {
  AROUND_EVENT_BYTES,
  type EventAppend,
  type EventPage,
  type EventPlace,
  type EventQuery,
  type EventRead,
  type EventsAppended,
  type HeldEvent,
} from "../streams.ts";
import { bigintArray, booleanArray, byteaArray, integerArray, textArray } from "./arrays.ts";
import type { Database } from "./database.ts";
import { EVENT_BYTES, EVENT_PACK, PACK_EVENTS, readEventPack, tagsText } from "./event-pack.ts";
import { STREAM_CHANGED, type Teller } from "./notifications.ts";
import type { Statement } from "./session.ts";

/** The most events that a page looks at when it leaves some out. */
const LOOKED_AT_EVENTS = 4096;

/** Later than every time, and behind every offset. */
const AFTER_ALL = Number.MAX_SAFE_INTEGER;

/**
 * A pack of a page: its place in the call, which counts from 1; the stream's next offset (NULL =
 * there is no stream); the events; the place of the last event that was looked at; whether that
 * was the last one there is. A stream without such events has one row with NULLs.
 */
type PackRow = readonly [
  place: number,
  nextOffset: number | null,
  pack: Buffer | null,
  lastMs: number | null,
  lastNumber: number | null,
  isLast: boolean | null,
];

type StateRow = readonly [
  place: number,
  retentionMs: number,
  partitions: number,
  replicationFactor: number,
  createdAtMs: number,
  nextOffset: number,
  firstNumber: number | null,
  firstMs: number | null,
  lastMs: number | null,
];

type Make = <Row extends readonly unknown[]>(name: string, text: string) => Statement<Row>;

/** The statements on streams. `$1` is always the namespace, except for the sweep. */
export function createStreamStatements(schema: string, now: string, read: Make, write: Make) {
  const nowMs = `floor(extract(epoch FROM ${now}) * 1000)::bigint`;
  const stream = `"${schema}".stream`;
  const event = `"${schema}".event`;
  // Rows with -1 as their next offset are never seen: the call that makes them ends without them.
  const ofName = (name: string) => `s.namespace = $1 AND s.name = ${name}`;
  const wanted = "coalesce(nullif(tags, ''), '{}')::bytea[] AS wanted";
  const hasWanted = "(wanted = '{}' OR coalesce(tags @> wanted, FALSE))";
  /** The stream of a row of `given`. NULLs = there is none. */
  const itsStream = `LEFT JOIN LATERAL (
         SELECT *, CASE WHEN retention_ms > 0 THEN ${nowMs} - retention_ms ELSE -1 END AS expired_until
         FROM ${stream} AS s WHERE ${ofName("given.name")} LIMIT 1
       ) AS s ON TRUE`;
  /** The events of a row of `given` that are in its span of time, after its place. */
  const inSpan = `time_ms < end_ms AND (time_ms, number) > (greatest(after_ms, s.expired_until),
         CASE WHEN after_ms > s.expired_until THEN after_number ELSE ${AFTER_ALL} END)`;
  /**
   * Pages of events: `from` says where they begin and end, and `fits` which are wanted. They are
   * packed for `event-pack.ts`. Where all fit, so many are looked at as are wanted and one more.
   */
  const page = (name: string, given: string, order: string, from: string, fits: string, allFit: string) => ({
    ...read<PackRow>(
      name,
      `WITH given AS MATERIALIZED (
         SELECT place::integer, ${given}, most, most_bytes, ${wanted}
         FROM unnest($2::bytea[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
           WITH ORDINALITY AS given (name, tags, most, most_bytes, a, b, c, place)
       )
       SELECT place, s.next_offset, packed.pack, packed.last_ms, packed.last_number, packed.is_last
       FROM given
       ${itsStream}
       CROSS JOIN LATERAL (
         SELECT CASE WHEN wanted = '{}' AND ${allFit} THEN most + 1 ELSE greatest(most + 1, ${LOOKED_AT_EVENTS}) END AS look
       ) AS bound
       LEFT JOIN LATERAL (
         SELECT min(seen) AS first, string_agg(${EVENT_PACK}, '' ORDER BY seen) FILTER (WHERE fits) AS pack,
           (array_agg(time_ms ORDER BY seen DESC))[1] AS last_ms, (array_agg(number ORDER BY seen DESC))[1] AS last_number,
           max(seen) = max(total) AND max(total) < look AS is_last
         FROM (
           SELECT *, row_number() OVER in_order AS seen, count(*) OVER () AS total,
             coalesce(sum(fits::integer) OVER before, 0) AS events_before,
             coalesce(sum(CASE WHEN fits THEN ${AROUND_EVENT_BYTES} + ${EVENT_BYTES} END) OVER before, 0) AS bytes_before
           FROM (
             SELECT time_ms, number, payload, tags, ${fits} AND ${hasWanted} AS fits
             FROM ${event} WHERE stream_id = s.id AND ${from}
             ORDER BY ${order}
             LIMIT look
           ) AS candidate
           WINDOW in_order AS (ORDER BY ${order}),
             before AS (ORDER BY ${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
         ) AS sized
         WHERE bytes_before < most_bytes AND events_before < most
         GROUP BY (seen - 1) / ${PACK_EVENTS}
       ) AS packed ON TRUE
       ORDER BY place, packed.first`,
    ),
    endsWithCall: true as const,
  });
  return {
    /** See the function. `$2` to `$12`: what it takes, without the time. */
    appendEvents: write<
      readonly [firstOffset: number, expired: number, refused: number | null, nowMs: number]
    >(
      "append_events",
      `SELECT first_offset, expired, refused, ${nowMs} FROM "${schema}".event_append($1, ${nowMs}, $2::boolean, $3::bytea[],
         $4::integer[], $5::integer[], $6::bigint[], $7::bigint[], $8::boolean[],
         $9::integer[], $10::bigint[], $11::bytea[], $12::text[])`,
    ),
    /**
     * For each place the name, tags, most events and bytes, a place that it comes after, and an
     * end.
     */
    queryEvents: page(
      "query_events",
      "name, a AS after_ms, b AS after_number, c AS end_ms",
      "time_ms, number",
      inSpan,
      "TRUE",
      "TRUE",
    ),
    /**
     * The same, and events that are alike are one: its offset is how many they are. For each place
     * besides: the length of a bucket (0 = there is one), the longest payload that counts, and
     * whether tags do. A pack is a bucket, because all of a page is small.
     */
    mergeEvents: {
      ...read<PackRow>(
        "merge_events",
        `WITH given AS MATERIALIZED (
         SELECT place::integer, name, ${wanted}, most, most_bytes, after_ms, after_number, end_ms,
           nullif(bucket_ms, 0) AS bucket_ms, longest, with_tags
         FROM unnest($2::bytea[], $3::text[], $4::integer[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[], $10::integer[], $11::boolean[])
           WITH ORDINALITY AS given (name, tags, most, most_bytes, after_ms, after_number, end_ms,
             bucket_ms, longest, with_tags, place)
       )
       SELECT place, s.next_offset, packed.pack, packed.last[1], packed.last[2], packed.is_last
       FROM given
       ${itsStream}
       LEFT JOIN LATERAL (
         SELECT bucket, string_agg(${EVENT_PACK}, '') FILTER (WHERE fits) AS pack, max(latest) AS last,
           sum(sum(number)) OVER () < most AND max(max(bytes)) OVER () < most_bytes AS is_last
         FROM (
           SELECT bucket, payload, tags, fits, min(time_ms) AS time_ms, count(*) AS number,
             max(ARRAY[time_ms, number]) AS latest, max(bytes) AS bytes
           FROM (
             SELECT *, sum(size) OVER (ORDER BY time_ms, number ROWS UNBOUNDED PRECEDING) AS bytes
             FROM (
               SELECT *, CASE WHEN fits THEN ${AROUND_EVENT_BYTES} + ${EVENT_BYTES} ELSE 0 END::integer AS size
               FROM (
                 SELECT time_ms, number, time_ms / bucket_ms AS bucket, fits,
                   CASE WHEN fits AND octet_length(payload) <= longest THEN payload ELSE '' END AS payload,
                   CASE WHEN fits AND with_tags THEN tags END AS tags
                 FROM (
                   SELECT *, ${hasWanted} AS fits FROM ${event} WHERE stream_id = s.id AND ${inSpan}
                   ORDER BY time_ms, number
                   LIMIT most
                 ) AS candidate
               ) AS shortened
             ) AS sized
           ) AS counted
           WHERE bytes - size < most_bytes
           GROUP BY bucket, payload, tags, fits
         ) AS merged
         GROUP BY bucket
       ) AS packed ON TRUE
       ORDER BY place, packed.bucket`,
      ),
      endsWithCall: true as const,
    },
    /** The same with the first offset, the least time, and nothing more. */
    readEvents: page(
      "read_events",
      "name, a AS first_number, b AS least_ms",
      "number",
      "number >= first_number",
      "time_ms > s.expired_until AND time_ms >= least_ms",
      "least_ms = 0 AND s.expired_until = -1",
    ),
    /** See the function. `$2` to `$7`: what it takes, without the time. */
    createStream: write<readonly [partitions: number | null, replicationFactor: number | null]>(
      "create_stream",
      `SELECT * FROM "${schema}".stream_create($1, ${nowMs}, $2::boolean, $3::bytea[],
         $4::integer[], $5::bigint[], $6::integer[], $7::integer[])`,
    ),
    /** The first offset is looked for only where there is an event. */
    describeStream: read<StateRow>(
      "describe_stream",
      `SELECT place::integer, retention_ms, partitions, replication_factor, created_at_ms, next_offset,
         (SELECT number FROM ${event} WHERE stream_id = s.id AND time_ms > expired_until AND first.time_ms IS NOT NULL
          ORDER BY number LIMIT 1),
         first.time_ms, last.time_ms
       FROM unnest($2::bytea[]) WITH ORDINALITY AS given (name, place)
       CROSS JOIN LATERAL (
         SELECT *, CASE WHEN retention_ms > 0 THEN ${nowMs} - retention_ms ELSE -1 END AS expired_until
         FROM ${stream} AS s WHERE ${ofName("given.name")} LIMIT 1
       ) AS s
       LEFT JOIN LATERAL (
         SELECT time_ms FROM ${event} WHERE stream_id = s.id AND time_ms > expired_until
         ORDER BY time_ms, number LIMIT 1
       ) AS first ON TRUE
       LEFT JOIN LATERAL (
         SELECT time_ms FROM ${event} WHERE stream_id = s.id AND time_ms > expired_until
         ORDER BY time_ms DESC, number DESC LIMIT 1
       ) AS last ON TRUE`,
    ),
    /** First locks the rows in ascending order. Answers the names that were there. */
    deleteStream: write<readonly [name: Buffer]>(
      "delete_stream",
      `WITH locked AS MATERIALIZED (
         SELECT id, name FROM ${stream} AS s WHERE namespace = $1 AND name = ANY ($2::bytea[]) ORDER BY name FOR UPDATE
       )
       UPDATE ${stream} AS s SET name = NULL, sweep_at_ms = 0 FROM locked WHERE s.id = locked.id
       RETURNING locked.name`,
    ),
    /** Names of streams from `$2` (included) to `$3` (excluded), the first `$4`. */
    streamNames: {
      ...read<readonly [name: Buffer]>(
        "stream_names",
        `SELECT name FROM ${stream} WHERE namespace = $1 AND name >= $2::bytea AND name < $3::bytea
         ORDER BY name LIMIT $4::integer`,
      ),
      endsWithCall: true as const,
    },
    /** Tells all who listen. `$1`: what. */
    tellStreams: read<readonly []>(
      "tell_streams",
      `SELECT pg_notify('${STREAM_CHANGED}', payload) FROM unnest($1::text[]) AS given (payload)`,
    ),
    /** See the function. `$1`: how much to do. */
    sweepEvents: {
      ...write<readonly [removed: number, more: boolean]>(
        "sweep_events",
        `SELECT * FROM "${schema}".stream_sweep(${nowMs}, $1::integer)`,
      ),
      endsWithCall: true as const,
    },
  };
}

/** Streams in the tables of streams and events. `teller` tells of those that have changed. */
export function createStreams(
  run: Database["run"],
  statements: ReturnType<typeof createStreamStatements>,
  teller: Teller,
): StreamStore {
  /** Runs a write to streams, and tells of it. It may have taken effect also if it failed. */
  const change = async <Row extends readonly unknown[]>(
    tell: Teller["changed"],
    statement: Statement<Row>,
    namespace: string,
    streams: readonly string[],
    values: readonly unknown[],
    call: Call,
  ): Promise<Row[]> => {
    try {
      return await run(statement, [namespace, ...values], call);
    } finally {
      tell(namespace, streams);
    }
  };

  return {
    async appendEvents(namespace, appends, call) {
      const { names, numbers } = numbered(appends);
      const each = call.each === true;
      const events = appends.flatMap(({ events }) => events);
      const rows = await change(
        teller.changed,
        statements.appendEvents,
        namespace,
        appends.map(({ stream }) => stream),
        [
          each,
          names,
          numbers,
          integerArray(appends.map(({ events }) => events.length)),
          bigintArray(appends.map(earliestMs)),
          bigintArray(appends.map(({ retentionMs }) => retentionMs)),
          booleanArray(appends.map(({ refusesExpired }) => refusesExpired)),
          integerArray(appends.flatMap(({ events }, i) => events.map(() => i + 1))),
          bigintArray(events.map(({ timestampMs }) => timestampMs)),
          byteaArray(events.map(({ payload }) => payload)),
          textArray(events.map(({ tags }) => tagsText(tags))),
        ],
        call,
      );
      return whole(
        rows.map(([offset, expired, refused, nowMs]): EventsAppended | Refusal =>
          refused === null ? { offset, nowMs, expired } : refuseExpired(refused),
        ),
        each,
      );
    },
    async queryEvents(namespace, queries, call) {
      const answers: (EventPage | undefined)[] = queries.map(() => undefined);
      const ask = async (merges: boolean) => {
        const asked = [...queries.entries()].filter(([, { merge }]) => (merge !== undefined) === merges);
        if (asked.length === 0) {
          return;
        }
        const these = asked.map(([, query]) => query);
        const rows = merges
          ? await run(
              statements.mergeEvents,
              [namespace, ...wantedOf(these), ...spansOf(these), ...mergesOf(these)],
              call,
            )
          : await run(statements.queryEvents, [namespace, ...wantedOf(these), ...spansOf(these)], call);
        const pages = pagesOf(rows);
        for (const [i, [place]] of asked.entries()) {
          const page = pages.get(i);
          answers[place] = page && {
            events: page.events,
            next: page.isLast ? undefined : page.last,
            ...(merges && { counts: page.events.map(({ offset }) => offset) }),
          };
        }
      };
      await ask(false);
      await ask(true);
      return answers;
    },
    async readEvents(namespace, reads, call) {
      const rows = await run(
        statements.readEvents,
        [
          namespace,
          ...wantedOf(reads),
          bigintArray(reads.map(({ offset }) => Math.min(offset, AFTER_ALL))),
          bigintArray(reads.map(({ minTimestampMs }) => minTimestampMs)),
          bigintArray(reads.map(() => 0)),
        ],
        call,
      );
      const pages = pagesOf(rows);
      return reads.map((_, i) => {
        const page = pages.get(i);
        if (page === undefined) {
          return undefined;
        }
        const { events, nextOffset, last, isLast } = page;
        const next = isLast ? nextOffset : last.offset + 1;
        return { events, next, ended: next === nextOffset };
      });
    },
    async createStream(namespace, creates, call) {
      const { names, numbers } = numbered(creates);
      const each = call.each === true;
      const rows = await change(
        teller.replaced,
        statements.createStream,
        namespace,
        creates.map(({ stream }) => stream),
        [
          each,
          names,
          numbers,
          bigintArray(creates.map(({ retentionMs }) => retentionMs)),
          integerArray(creates.map(({ partitions }) => partitions)),
          integerArray(creates.map(({ replicationFactor }) => replicationFactor)),
        ],
        call,
      );
      return whole(
        creates.map((wanted, i) => {
          const [partitions, replicationFactor] = rows[i] ?? [];
          if (typeof partitions !== "number" || typeof replicationFactor !== "number") {
            return undefined;
          }
          const decided = decideStream({ retentionMs: 0, partitions, replicationFactor }, wanted);
          return decided instanceof Refusal ? decided : undefined;
        }),
        each,
      );
    },
    async describeStream(namespace, streams, call) {
      const rows = await run(statements.describeStream, [namespace, nameArray(streams)], call);
      const byPlace = new Map(rows.map((row) => [row[0] - 1, row]));
      return streams.map((_, i) => {
        const row = byPlace.get(i);
        if (row === undefined) {
          return undefined;
        }
        const [
          ,
          retentionMs,
          partitions,
          replicationFactor,
          createdAtMs,
          nextOffset,
          first,
          firstMs,
          lastMs,
        ] = row;
        return {
          retentionMs,
          partitions,
          replicationFactor,
          createdAtMs,
          firstOffset: first ?? nextOffset,
          nextOffset,
          firstTimestampMs: firstMs ?? undefined,
          lastTimestampMs: lastMs ?? undefined,
        };
      });
    },
    async deleteStream(namespace, streams, call) {
      const values = [nameArray(streams)];
      const rows = await change(teller.replaced, statements.deleteStream, namespace, streams, values, call);
      const found = new Set(rows.map(([name]) => name.toString()));
      // When one name comes twice, only the first delete finds it.
      return streams.map((stream) => found.delete(stream));
    },
  };
}

/** One refusal refuses all, unless each item is for itself. */
function whole<Answer>(answers: readonly (Answer | Refusal)[], each: boolean): readonly (Answer | Refusal)[] {
  const refusal = each ? undefined : answers.find((answer) => answer instanceof Refusal);
  return refusal === undefined ? answers : answers.map(() => refusal);
}

/** The events of a place and what `PackRow` tells of them. */
interface Pages {
  readonly events: HeldEvent[];
  readonly nextOffset: number;
  last: EventPlace;
  isLast: boolean;
}

/** What was found, by the places of the items. */
function pagesOf(rows: readonly PackRow[]): ReadonlyMap<number, Pages> {
  const pages = new Map<number, Pages>();
  for (const [place, nextOffset, pack, lastMs, lastNumber, isLast] of rows) {
    if (nextOffset === null) {
      continue;
    }
    let page = pages.get(place - 1);
    if (page === undefined) {
      page = { events: [], nextOffset, last: { timestampMs: 0, offset: 0 }, isLast: true };
      pages.set(place - 1, page);
    }
    if (pack !== null) {
      readEventPack(pack, page.events);
    }
    if (lastMs !== null && lastNumber !== null) {
      page.last = { timestampMs: lastMs, offset: lastNumber };
      page.isLast = isLast === true;
    }
  }
  return pages;
}

/** What all kinds of pages take first. */
function wantedOf(reads: readonly (EventQuery | EventRead)[]): readonly Buffer[] {
  return [
    nameArray(reads.map(({ stream }) => stream)),
    textArray(reads.map(({ tags }) => tagsText(tags))),
    integerArray(reads.map(({ maxEvents }) => maxEvents)),
    bigintArray(reads.map(({ maxBytes }) => maxBytes)),
  ];
}

/** Between which places the events of queries lie. */
function spansOf(queries: readonly EventQuery[]): readonly Buffer[] {
  return [
    bigintArray(queries.map((query) => placeBefore(query).timestampMs)),
    bigintArray(queries.map((query) => placeBefore(query).offset)),
    bigintArray(queries.map(({ endMs }) => Math.min(endMs, AFTER_ALL))),
  ];
}

/** Which events are alike. */
function mergesOf(queries: readonly EventQuery[]): readonly Buffer[] {
  return [
    bigintArray(queries.map(({ merge }) => Math.min(merge?.bucketMs ?? 0, AFTER_ALL))),
    integerArray(queries.map(({ merge }) => merge?.maxPayloadBytes ?? 0)),
    booleanArray(queries.map(({ merge }) => merge?.tags === true)),
  ];
}

/** The place that the events of a query come after. */
function placeBefore({ startMs, after }: EventQuery): EventPlace {
  return after !== undefined && after.timestampMs >= startMs ? after : { timestampMs: startMs, offset: -1 };
}

function earliestMs({ events }: EventAppend): number {
  let earliest = AFTER_ALL;
  for (const { timestampMs } of events) {
    if (timestampMs !== 0 && timestampMs < earliest) {
      earliest = timestampMs;
    }
  }
  return earliest;
}

/** The names of the items' streams, each once, ascending; for each item the number of its own. */
function numbered(items: readonly { readonly stream: string }[]): {
  readonly names: Buffer;
  readonly numbers: Buffer;
} {
  const names = Array.from(new Set(items.map(({ stream }) => stream)), (stream) => ({
    stream,
    bytes: Buffer.from(stream),
  })).sort((a, b) => a.bytes.compare(b.bytes));
  const numbers = new Map(names.map(({ stream }, i) => [stream, i + 1]));
  return {
    names: byteaArray(names.map(({ bytes }) => bytes)),
    numbers: integerArray(items.map(({ stream }) => numbers.get(stream) ?? 0)),
  };
}

function nameArray(streams: readonly string[]): Buffer {
  return byteaArray(streams.map((stream) => Buffer.from(stream)));
}
