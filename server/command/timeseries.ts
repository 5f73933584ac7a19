import type { AggregateRow, StreamEvent } from "../../client/node.ts";
import type { Options } from "../cli.ts";
import { appendLines } from "./append-lines.ts";
import { type DataCall, isHuman, printFact } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { printNames } from "./names.ts";
import { durationOption, numberOption, textOption, textOptions, timeOption } from "./options.ts";
import { Lines, write } from "./output.ts";
import { readValue, shownText, shownValue, toJsonBytes } from "./values.ts";

/** `ts append STREAM [PAYLOAD]` */
export async function append({ client, args: [stream = "", payload], options }: DataCall): Promise<ExitCode> {
  const facts = { tags: toTags(options), timestampMs: timeOption(options, "time") };
  if (options.lines === true) {
    if (payload !== undefined && payload !== "-") {
      throw new CommandError(EXIT.misused, "a payload and --lines: give one of both");
    }
    const appended = await appendLines(client, stream, facts, textOption(options, "file"));
    await printFact({ stream, appended }, `${appended}`, options);
    return EXIT.done;
  }
  const bytes = await readValue(payload, options);
  const { offset, timestampMs } = await client.timeseries.append(stream, bytes, facts);
  await printFact({ stream, offset, timestamp_ms: timestampMs }, `${offset}`, options);
  return EXIT.done;
}

/** `ts query STREAM` */
export async function query({ client, args: [stream = ""], options }: DataCall): Promise<ExitCode> {
  const toLine = lineOf(options);
  const lines = new Lines();
  const limit = numberOption(options, "limit");
  for await (const event of client.timeseries.query(stream, { ...toSpan(options), limit })) {
    await lines.add(toLine(event));
  }
  await lines.end();
  return EXIT.done;
}

/** `ts tail STREAM` */
export async function tail({ client, args: [stream = ""], options }: DataCall): Promise<ExitCode> {
  const toLine = lineOf(options);
  const fromOffset = numberOption(options, "from-offset") ?? "end";
  let left = numberOption(options, "limit") || Number.POSITIVE_INFINITY;
  for await (const event of client.timeseries.tail(stream, { fromOffset, tags: toTags(options) })) {
    // At once, for who looks on.
    await write(`${toLine(event)}\n`);
    if (--left === 0) {
      break;
    }
  }
  return EXIT.done;
}

/** `ts aggregate STREAM` */
export async function aggregate({ client, args: [stream = ""], options }: DataCall): Promise<ExitCode> {
  const groupBy = textOptions(options, "by");
  const rows = await client.timeseries.aggregate(stream, {
    ...toSpan(options),
    bucketMs: durationOption(options, "bucket"),
    valueTag: textOption(options, "value-tag"),
    groupBy,
  });
  const isForPeople = isHuman(options);
  const lines = new Lines();
  if (isForPeople) {
    await lines.add(["TIME", ...groupBy.map(shownText), "COUNT", ...NUMBERS].join("\t"));
  }
  for (const row of rows) {
    await lines.add(isForPeople ? shownRow(row, groupBy) : JSON.stringify(rowToJson(row)));
  }
  await lines.end();
  return EXIT.done;
}

/** `ts create STREAM` */
export async function create({ client, args: [stream = ""], options }: DataCall): Promise<ExitCode> {
  await client.timeseries.createStream(stream, {
    retentionDays: numberOption(options, "retention-days"),
    partitions: numberOption(options, "partitions"),
    replicationFactor: numberOption(options, "replicas"),
  });
  if (options.json === true) {
    await write(`${JSON.stringify({ stream })}\n`);
  }
  return EXIT.done;
}

/** `ts delete STREAM` */
export async function remove({ client, args: [stream = ""], options }: DataCall): Promise<ExitCode> {
  const deleted = await client.timeseries.deleteStream(stream);
  await printFact({ stream, deleted }, `${deleted}`, options);
  return deleted ? EXIT.done : EXIT.notFound;
}

/** `ts describe STREAM` */
export async function describe({ client, args: [stream = ""] }: DataCall): Promise<ExitCode> {
  const told = await client.timeseries.describeStream(stream);
  const line = JSON.stringify({
    stream,
    retention_days: told.retentionDays,
    partitions: told.partitions,
    replication_factor: told.replicationFactor,
    created_at_ms: told.createdAtMs,
    first_offset: told.firstOffset,
    next_offset: told.nextOffset,
    first_timestamp_ms: told.firstTimestampMs,
    last_timestamp_ms: told.lastTimestampMs,
  });
  await write(`${line}\n`);
  return EXIT.done;
}

/** `ts list [PREFIX]` */
export function list({ client, args: [prefix], options }: DataCall): Promise<ExitCode> {
  return printNames("stream", client.timeseries.streams({ prefix }), options);
}

function toSpan(options: Options) {
  return {
    startMs: timeOption(options, "from"),
    endMs: timeOption(options, "to"),
    tags: toTags(options),
  };
}

/** The tags of --tag. Throws {@link CommandError}. */
function toTags(options: Options): Record<string, string> {
  const tags = textOptions(options, "tag").map((given): [name: string, value: string] => {
    const end = given.indexOf("=");
    if (end < 1) {
      throw new CommandError(EXIT.misused, `option --tag: expected NAME=VALUE, found "${given}"`);
    }
    return [given.slice(0, end), given.slice(end + 1)];
  });
  const names = new Set(tags.map(([name]) => name));
  if (names.size < tags.length) {
    throw new CommandError(EXIT.misused, "option --tag: a name stands there twice");
  }
  return Object.fromEntries(tags);
}

/** How an event is printed. */
function lineOf(options: Options): (event: StreamEvent) => string {
  if (!isHuman(options)) {
    return ({ offset, timestampMs, tags, payload }) =>
      JSON.stringify({ offset, timestamp_ms: timestampMs, tags, ...toJsonBytes(payload, "payload") });
  }
  return ({ offset, timestampMs, tags, payload }) =>
    [offset, new Date(timestampMs).toISOString(), shownTags(tags), shownValue(payload)].join("\t");
}

function shownTags(tags: StreamEvent["tags"]): string {
  return Object.entries(tags)
    .map(([name, value]) => shownText(`${name}=${value}`))
    .join(" ");
}

/** What an aggregate tells of numbers, in the order of its columns. */
const NUMBERS = ["sum", "min", "max", "avg", "p50", "p95", "p99"] as const;

function shownRow(row: AggregateRow, groupBy: readonly string[]): string {
  return [
    new Date(row.startMs).toISOString(),
    ...groupBy.map((tag) => shownText(row.tags[tag] ?? "")),
    row.count,
    ...NUMBERS.map((name) => row[name] ?? ""),
  ].join("\t");
}

function rowToJson({ startMs, tags, count, numbers, ...figures }: AggregateRow): object {
  return { start_ms: startMs, tags, count, numbers, ...figures };
}
