/** What the console lets people copy does what it says, in a shell and in Node. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  curlOfFirst,
  type Shown,
  type Snippets,
  snippetsOf,
  type Target,
} from "../client/console/data/snippets.ts";
import { PrismClient } from "../client/node.ts";
import { makeCheckout } from "./documents/checkout.ts";
import { startTestServer, type TestServer } from "./helpers/server.ts";

/** Each case starts several programs, which takes long on a busy machine. */
const SLOW = { timeout: 300_000 };

/** Quotes, expansions, markup, what a terminal obeys, and what turns the direction of text. */
const HOSTILE = 'it\'s "x" $HOME `id` $(id) \\ %s !! <b>&</b>\ttab \u001b[201~\r\u202e\u{e0001}\u007f\nend\n';
const NO_TEXT = new Uint8Array([0xff, 0x00, 0x27]);

let server: TestServer;
let checkout: Awaited<ReturnType<typeof makeCheckout>>;
let target: Target;

beforeAll(async () => {
  server = await startTestServer();
  checkout = await makeCheckout();
  target = {
    dataUrl: server.baseUrl,
    adminUrl: server.adminUrl,
    namespace: "default",
    asksWhoCalls: false,
  };
  await using client = new PrismClient(server.address);
  for (const name of [HOSTILE, "-n", " a b "]) {
    await client.keyvalue.set(name, "of a key");
    for (const value of ["one", "", "two", "three"]) {
      await client.list.pushRight(name, value);
    }
    await client.records.put(name, [
      { key: name, value: "of an item" },
      { key: NO_TEXT, value: "of bytes" },
    ]);
    await client.timeseries.appendBatch(name, [
      { payload: "too early", timestampMs: 1, tags: { [name]: name } },
      { payload: "of an event", timestampMs: 5, tags: { [name]: name } },
      { payload: "of no tag", timestampMs: 5 },
      { payload: NO_TEXT, timestampMs: 6, tags: { [name]: name } },
    ]);
  }
});

afterAll(async () => {
  await server.stop();
  await checkout[Symbol.asyncDispose]();
});

async function run(command: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, PATH: `${checkout.bin}:${process.env.PATH}` };
  const { stdout } = await promisify(execFile)(command, args, { cwd: checkout.path, env });
  return stdout;
}

/** What each of the ways prints. */
async function printed({ curl, cli, typescript }: Snippets): Promise<Snippets> {
  const program = join(checkout.path, "copied.ts");
  await writeFile(program, typescript);
  const outputs = await Promise.all([
    run("sh", "-c", curl),
    run("sh", "-c", cli),
    run(join(checkout.path, "node_modules/.bin/node"), program),
  ]);
  return { curl: outputs[0], cli: outputs[1], typescript: outputs[2] };
}

const base64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64");
const lines = (text: string): unknown[] =>
  text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));

test.each([HOSTILE, "-n", " a b "])("a key is read: %j", SLOW, async (key) => {
  const { curl, ...others } = await printed(snippetsOf({ kind: "key", key }, target));
  expect(JSON.parse(curl)).toEqual({ value: base64("of a key") });
  expect(others).toEqual({ cli: "of a key", typescript: "of a key\n" });
});

test.each([HOSTILE, "-n"])("keys are read by their prefix: %j", SLOW, async (prefix) => {
  const { curl, cli, typescript } = await printed(snippetsOf({ kind: "keys", prefix }, target));
  expect(JSON.parse(curl)).toMatchObject({ entries: [{ key: prefix, value: base64("of a key") }] });
  expect(lines(cli)).toEqual([{ key: prefix, value: "of a key" }]);
  expect(typescript).toBe(`${inspect({ key: prefix, value: "of a key" })}\n`);
});

test.each([HOSTILE, "-n"])("a part of a list is read: %j", SLOW, async (list) => {
  const shown: Shown = { kind: "list", list, start: 1, stop: -2 };
  const { curl, cli, typescript } = await printed(snippetsOf(shown, target));
  expect(lines(curl)).toEqual([{ value: "" }, { value: base64("two") }]);
  expect(lines(cli)).toEqual([{ value: "" }, { value: "two" }]);
  expect(typescript).toBe("\ntwo\n");
});

test.each([HOSTILE, "-n"])(
  "names of lists and streams and ids of records are read: %j",
  SLOW,
  async (prefix) => {
    for (const [kind, field, word] of [
      ["lists", "listKeys", "list"],
      ["records", "ids", "id"],
      ["streams", "streams", "stream"],
    ] as const) {
      const { curl, cli, typescript } = await printed(snippetsOf({ kind, prefix }, target));
      expect(JSON.parse(curl)).toMatchObject({ [field]: [prefix] });
      expect(lines(cli)).toEqual([{ [word]: prefix }]);
      expect(typescript).toBe(`${inspect([prefix])}\n`);
    }
  },
);

test.each([HOSTILE, "-n"])("a record and an item of it are read: %j", SLOW, async (id) => {
  const record = await printed(snippetsOf({ kind: "record", id }, target));
  expect(JSON.parse(record.curl)).toMatchObject({
    items: [
      { key: base64(id), value: base64("of an item") },
      { key: base64(NO_TEXT), value: base64("of bytes") },
    ],
  });
  expect(lines(record.cli)).toMatchObject([
    { key: id, value: "of an item" },
    { key_base64: base64(NO_TEXT), value: "of bytes" },
  ]);
  expect(record.typescript).toContain(inspect({ key: id, value: "of an item" }));
  const item = snippetsOf({ kind: "item", id, key: new TextEncoder().encode(id) }, target);
  const bytes = snippetsOf({ kind: "item", id, key: NO_TEXT }, target);
  for (const [snippets, value] of [
    [item, "of an item"],
    [bytes, "of bytes"],
  ] as const) {
    const { curl, ...others } = await printed(snippets);
    expect(JSON.parse(curl)).toMatchObject({ items: [{ value: base64(value) }] });
    expect(others).toEqual({ cli: value, typescript: `${value}\n` });
  }
});

test.each([HOSTILE, "-n"])("events of a stream are read by time and tag: %j", SLOW, async (stream) => {
  const shown: Shown = { kind: "stream", stream, startMs: 2, endMs: 9, tags: { [stream]: stream } };
  const { curl, cli, typescript } = await printed(snippetsOf(shown, target));
  const tags = { [stream]: stream };
  expect(lines(curl)).toMatchObject([
    {
      events: [
        { offset: "1", timestampMillis: "5", payload: base64("of an event"), tags },
        { offset: "3", timestampMillis: "6", payload: base64(NO_TEXT), tags },
      ],
    },
  ]);
  expect(lines(cli)).toEqual([
    { offset: 1, timestamp_ms: 5, tags, payload: "of an event" },
    { offset: 3, timestamp_ms: 6, tags, payload_base64: base64(NO_TEXT) },
  ]);
  const event = { offset: 1, timestampMs: 5, tags, payload: "of an event" };
  expect(typescript).toContain(inspect(event));
});

test("a namespace is read", SLOW, async () => {
  const { curl, cli, typescript } = await printed(snippetsOf({ kind: "namespace" }, target));
  expect(JSON.parse(curl)).toMatchObject({ namespace: { name: "default" } });
  expect(JSON.parse(cli)).toMatchObject({ name: "default" });
  expect(typescript).toBe("3\n");
});

test("the line that makes the first stream makes it", SLOW, async () => {
  expect(JSON.parse(await run("sh", "-c", curlOfFirst("stream", target)))).toMatchObject({ offset: "0" });
  await using client = new PrismClient(server.address);
  const [event] = await Array.fromAsync(client.timeseries.query("logins"));
  expect(event).toMatchObject({
    offset: 0,
    tags: { city: "Bern" },
    payload: new TextEncoder().encode("alice"),
  });
});
