import type { QueriedEvent, SpanOptions, StreamEvent, Tags, TimeSeriesApi } from "../../web.ts";
import { visible } from "./bytes.ts";
import { formatTime } from "./format.ts";
import { type Preview, previewOf } from "./preview.ts";

/** Events of a page. */
export const EVENTS_PAGE = 200;

/** The characters of its tags that a row shows. */
const MAX_TAGS_LENGTH = 400;

/** An event, of which a row of a list shows what its payload begins with. */
export interface EventRow {
  readonly offset: number;
  /** When it happened, in milliseconds since 1970. */
  readonly timestampMs: number;
  /** Its tags in one line. */
  readonly tags: string;
  readonly preview: Preview;
}

/** The row of an event. The payload is not kept. */
export function rowOf({ offset, timestampMs, tags, payload }: StreamEvent): EventRow {
  return {
    offset,
    timestampMs,
    tags: Object.entries(tags).map(tagText).join(" ").slice(0, MAX_TAGS_LENGTH),
    preview: previewOf(payload),
  };
}

/** A tag as it is shown and typed. */
export function tagText([name, value]: readonly [name: string, value: string]): string {
  return visible(`${name}=${value}`);
}

/** The events of a span of time, page by page; each page is a call of its own. */
export async function* eventPages(
  timeseries: Pick<TimeSeriesApi, "query">,
  stream: string,
  span: SpanOptions,
  signal: AbortSignal,
): AsyncGenerator<readonly EventRow[]> {
  let cursor: QueriedEvent["cursor"];
  do {
    const rows: EventRow[] = [];
    const events = timeseries.query(stream, { ...span, limit: EVENTS_PAGE, cursor, signal });
    cursor = undefined;
    for await (const event of events) {
      rows.push(rowOf(event));
      cursor = event.cursor;
    }
    yield rows;
  } while (cursor !== undefined);
}

/** Where an event is. Its time finds it, its offset tells it from others of that time. */
export interface EventPlace {
  readonly offset: number;
  readonly timestampMs: number;
}

/** Reads an event; `undefined` = it is not there any more. */
export async function readEvent(
  timeseries: Pick<TimeSeriesApi, "query">,
  stream: string,
  { offset, timestampMs }: EventPlace,
  signal?: AbortSignal,
): Promise<StreamEvent | undefined> {
  const span = { startMs: timestampMs, endMs: timestampMs + 1 };
  for await (const event of timeseries.query(stream, { ...span, signal })) {
    if (event.offset === offset && event.timestampMs === timestampMs) {
      return event;
    }
  }
  return undefined;
}

/** The place as the page's address has it. */
export function placeText({ offset, timestampMs }: EventPlace): string {
  return `${offset}@${timestampMs}`;
}

/** The place in the page's address; `undefined` = there is none. */
export function placeInAddress(text: string | undefined): EventPlace | undefined {
  const [, offset, timestampMs] = /^(\d{1,15})@(\d{1,15})$/.exec(text ?? "") ?? [];
  return offset === undefined ? undefined : { offset: Number(offset), timestampMs: Number(timestampMs) };
}

/** The spans of time that can be chosen, each with its name. */
export const SPANS = [
  ["15m", "15 minutes"],
  ["1h", "Hour"],
  ["1d", "Day"],
  ["all", "All"],
  ["between", "From … to …"],
] as const;

/** One of {@link SPANS}. */
export type SpanName = (typeof SPANS)[number][0];

/** A span of time that somebody chose. */
export interface Span {
  readonly name: SpanName;
  /** The first time in milliseconds since 1970, for `between`; `undefined` = there is none. */
  readonly fromMs?: number | undefined;
  /** It ends before this time, for `between`; `undefined` = there is no end. */
  readonly toMs?: number | undefined;
}

const MINUTE_MS = 60_000;

/** How long before now a span begins. */
const LENGTHS_MS: Readonly<Record<Exclude<SpanName, "all" | "between">, number>> = {
  "15m": 15 * MINUTE_MS,
  "1h": 60 * MINUTE_MS,
  "1d": 24 * 60 * MINUTE_MS,
};

/** The times of a span, as a query takes them. What happens after now is in it too. */
export function timesOf({ name, fromMs, toMs }: Span, nowMs: number): SpanOptions {
  switch (name) {
    case "all":
      return {};
    case "between":
      return { startMs: fromMs, endMs: toMs };
    default:
      return { startMs: nowMs - LENGTHS_MS[name] };
  }
}

/** The span in the page's address: the last hour where it says none. */
export function spanInAddress(fields: Readonly<Record<string, string | undefined>>): Span {
  const [name] = SPANS.find(([known]) => known === fields.span) ?? ["1h" as const];
  return name === "between" ? { name, fromMs: millisOf(fields.from), toMs: millisOf(fields.to) } : { name };
}

/** A span as fields of the page's address. */
export function fieldsOfSpan({ name, fromMs, toMs }: Span): Record<string, string | undefined> {
  return {
    span: name === "1h" ? undefined : name,
    from: fromMs === undefined ? undefined : `${fromMs}`,
    to: toMs === undefined ? undefined : `${toMs}`,
  };
}

function millisOf(digits: string | undefined): number | undefined {
  return /^\d{1,15}$/.test(digits ?? "") ? Number(digits) : undefined;
}

/** Tags as the page's address has them. */
export function tagsField(tags: Tags): string | undefined {
  return Object.keys(tags).length === 0 ? undefined : JSON.stringify(tags);
}

/** The tags in the page's address. Somebody may have typed it. */
export function tagsInAddress(text: string | undefined): Tags {
  try {
    const entries = Object.entries(Object(JSON.parse(text ?? "{}")));
    return Object.fromEntries(
      entries.filter((tag): tag is [string, string] => tag[0] !== "" && typeof tag[1] === "string"),
    );
  } catch {
    return {};
  }
}

/**
 * Tags that were typed, `name=value`, one a line; empty lines count for nothing. `undefined` = a
 * line is none, or a name stands there twice.
 */
export function tagsOf(text: string): Tags | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const tags = lines.map((line): [name: string, value: string] => {
    const end = line.indexOf("=");
    return [line.slice(0, Math.max(0, end)), line.slice(end + 1)];
  });
  const names = new Set(tags.map(([name]) => name));
  return names.has("") || names.size < tags.length ? undefined : Object.fromEntries(tags);
}

/** A moment as a field for a time takes it, in the time zone of who looks. */
export function fieldOfTime(ms: number | undefined): string {
  return ms === undefined ? "" : formatTime(ms).replace(" ", "T");
}

/** The moment in such a field, in milliseconds since 1970; `undefined` = it is empty. */
export function timeOfField(text: string): number | undefined {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
