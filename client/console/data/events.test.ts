import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { PrismClient } from "../../web.ts";
import {
  EVENTS_PAGE,
  eventPages,
  fieldOfTime,
  fieldsOfSpan,
  placeInAddress,
  placeText,
  readEvent,
  rowOf,
  type Span,
  spanInAddress,
  tagsField,
  tagsInAddress,
  tagsOf,
  timeOfField,
  timesOf,
} from "./events.ts";

let server: TestServer;
let client: PrismClient;
beforeAll(async () => {
  server = await startTestServer();
  client = new PrismClient(server.baseUrl);
});
afterAll(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

const NEVER = new AbortController().signal;

test.each([
  [0, [0]],
  [EVENTS_PAGE, [EVENTS_PAGE]],
  [EVENTS_PAGE + 1, [EVENTS_PAGE, 1]],
])("%i events come in pages of %j", async (count, sizes) => {
  const stream = `pages:${count}`;
  await client.timeseries.createStream(stream);
  if (count > 0) {
    await client.timeseries.appendBatch(
      stream,
      Array.from({ length: count }, (_, i) => ({ payload: `${i}`, timestampMs: 1 })),
    );
  }
  const pages = await Array.fromAsync(eventPages(client.timeseries, stream, {}, NEVER));
  expect(pages.flat().map(({ preview }) => preview.text)).toEqual(
    Array.from({ length: count }, (_, i) => `${i}`),
  );
  // The gateway may say only with an empty page that there is no more.
  expect(pages.map(({ length }) => length).filter((length, i) => i === 0 || length > 0)).toEqual(sizes);
});

test("the pages are of the span and of the tags", async () => {
  for (const timestampMs of [10, 20, 30, 40]) {
    const tags = { even: `${timestampMs % 20 === 0}` };
    await client.timeseries.append("span", `at ${timestampMs}`, { timestampMs, tags });
  }
  const span = { startMs: 20, endMs: 40, tags: { even: "false" } };
  const pages = await Array.fromAsync(eventPages(client.timeseries, "span", span, NEVER));
  expect(pages.flat()).toEqual([
    { offset: 2, timestampMs: 30, tags: "even=false", preview: { text: "at 30", size: 5 } },
  ]);
});

test("an event is read among others of its time, and one that is not there is not", async () => {
  const batch = ["a", "b", "c"].map((payload) => ({ payload, timestampMs: 7 }));
  await client.timeseries.appendBatch("same-time", batch);
  const read = (offset: number, timestampMs: number) =>
    readEvent(client.timeseries, "same-time", { offset, timestampMs });
  expect(await read(1, 7)).toMatchObject({ payload: new TextEncoder().encode("b") });
  expect(await read(3, 7)).toBeUndefined();
  expect(await read(1, 8)).toBeUndefined();
});

test("a row shows what is not seen, and not too much", () => {
  const event = { offset: 1, timestampMs: 2, tags: { a: "\u202e", b: "x".repeat(4000) } };
  const row = rowOf({ ...event, payload: new Uint8Array([0xff]) });
  expect(row.tags).toMatch(/^a=\\u202e b=x+$/);
  expect(row.tags).toHaveLength(400);
  expect(row.preview).toEqual({ text: "ff", size: 1 });
});

test("a place stands in the address", () => {
  const place = { offset: 12, timestampMs: 1_700_000_000_000 };
  expect(placeInAddress(placeText(place))).toEqual(place);
  for (const other of [undefined, "", "1", "-1@2", "1@", "1@2@3", "9".repeat(16)]) {
    expect(placeInAddress(other)).toBeUndefined();
  }
});

test.each<[Span, Record<string, string>]>([
  [{ name: "1h" }, {}],
  [{ name: "all" }, { span: "all" }],
  [
    { name: "between", fromMs: 5, toMs: 9 },
    { span: "between", from: "5", to: "9" },
  ],
  [
    { name: "between", fromMs: undefined, toMs: 9 },
    { span: "between", to: "9" },
  ],
])("a span stands in the address: %j", (span, fields) => {
  expect(JSON.parse(JSON.stringify(fieldsOfSpan(span)))).toEqual(fields);
  expect(spanInAddress(fields)).toEqual(span);
});

test("an address that somebody typed is a span", () => {
  expect(spanInAddress({ span: "year" })).toEqual({ name: "1h" });
  expect(spanInAddress({ span: "between", from: "x", to: "-1" })).toEqual({ name: "between" });
});

test("a span has times", () => {
  const nowMs = 100_000_000;
  expect(timesOf({ name: "15m" }, nowMs)).toEqual({ startMs: nowMs - 900_000 });
  expect(timesOf({ name: "1d" }, nowMs)).toEqual({ startMs: nowMs - 86_400_000 });
  expect(timesOf({ name: "all" }, nowMs)).toEqual({});
  expect(timesOf({ name: "between", fromMs: 1, toMs: 2 }, nowMs)).toEqual({ startMs: 1, endMs: 2 });
});

test("tags are typed, a line each", () => {
  expect(tagsOf("")).toEqual({});
  expect(tagsOf("a=b\n\n  \nc==d=\ne=")).toEqual({ a: "b", c: "=d=", e: "" });
  for (const flawed of ["a", "=b", "a=1\na=2"]) {
    expect(tagsOf(flawed)).toBeUndefined();
  }
});

test("tags stand in the address, whatever they are called", () => {
  const tags = JSON.parse('{"__proto__":"p","a=b\\n":"c"}');
  expect(tagsField({})).toBeUndefined();
  expect(Object.entries(tagsInAddress(tagsField(tags)))).toEqual(Object.entries(tags));
  for (const other of [undefined, "", "{", "null", '{"a":1,"":"b"}']) {
    expect(tagsInAddress(other)).toEqual({});
  }
});

test("a time stands in a field", () => {
  const ms = Date.parse("2026-11-27T16:05:09Z");
  expect(timeOfField(fieldOfTime(ms))).toBe(ms);
  expect(fieldOfTime(undefined)).toBe("");
  expect(timeOfField("")).toBeUndefined();
});
