import { randomBytes } from "node:crypto";
import { appendFile, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { SLOW } from "../../tests/helpers/commands.ts";
import { prism, type ServerProcess, spawnServer, temporaryFolder } from "../../tests/helpers/process.ts";
import { startTestServer, type TestServer } from "../../tests/helpers/server.ts";
import { startTcpProxy } from "../../tests/helpers/tcp-proxy.ts";
import { waitFor } from "../../tests/helpers/until.ts";

let memory: TestServer;
let sqlite: ServerProcess;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let from: PrismClient;
let to: PrismClient;

beforeAll(async () => {
  folder = await temporaryFolder();
  memory = await startTestServer();
  sqlite = await spawnServer(["--data-dir", folder.path]);
  from = new PrismClient(memory.baseUrl);
  to = new PrismClient(sqlite.address);
});

afterAll(async () => {
  await from.close();
  await to.close();
  await memory.stop();
  await sqlite[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const command = (address: string, line: string, input?: string | Uint8Array) =>
  prism(line.split(" "), { PRISM_ADDRESS: address }, input);
const linesOf = (text: string) => text.split("\n").slice(0, -1);
const pagesOf = async (client: PrismClient, prefix: string) =>
  (await Array.fromAsync(client.keyvalue.pages({ prefix }))).flat();

test("what is exported is imported into another store: every byte, and when it expires", SLOW, async () => {
  const random = Array.from({ length: 200 }, (_, i): [string, Uint8Array] => [`r/${i}`, randomBytes(i * 7)]);
  await from.keyvalue.setMany([
    ...random,
    ["r/ä\0\n\u{1F600}", "text\n\u{feff}\0"],
    ["r/empty", ""],
    ["r/short", "x", 1000],
    ["other", "y"],
  ]);
  const file = join(folder.path, "whole.jsonl");
  expect(await command(memory.baseUrl, `export ${file} --prefix r/`)).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
  expect((await stat(file)).mode & 0o077).toBe(0);
  const { stdout } = await command(memory.baseUrl, "export --prefix r/");
  expect(linesOf(stdout)).toHaveLength(203);
  expect(linesOf(stdout)).toContain('{"key":"r/empty","value":""}');
  // An older entry of a key, which would have expired.
  await to.keyvalue.set("r/empty", "old", { ttlSeconds: 1000 });
  for (let times = 0; times < 2; times++) {
    expect(await command(sqlite.address, `import ${file}`)).toMatchObject({
      code: 0,
      stdout: "203 entries, 0 lists, 0 records\n",
    });
    const [written, read] = [await pagesOf(from, "r/"), await pagesOf(to, "")];
    expect(read.map(({ key, value }) => [key, value])).toEqual(written.map(({ key, value }) => [key, value]));
    const expiring = read.filter(({ ttlMs }) => ttlMs !== undefined);
    expect(expiring.map(({ key }) => key)).toEqual(["r/short"]);
    const left = (await from.keyvalue.ttl("r/short")) ?? expect.fail();
    // Written in whole seconds, rounded up; the rest is the time between the two reads.
    expect(Math.abs((expiring[0]?.ttlMs ?? 0) - left)).toBeLessThan(60_000);
  }
});

test("import stops at a bad line with its number, and goes on from there", SLOW, async () => {
  const good = (i: number) => `{"key":"bad/${i}","value":"${i}"}\n`;
  for (const [line, told] of [
    ["{", "it is not JSON"],
    [Buffer.from([0x22, 0xff]), "it is not UTF-8"],
  ] as const) {
    await to.keyvalue.deletePrefix("bad/");
    const input = Buffer.concat([good(1), good(2), line, `\n${good(4)}`].map((part) => Buffer.from(part)));
    const stopped = await command(sqlite.address, "import", input);
    expect(stopped).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining(`prism: line 3: ${told}`),
    });
    expect(stopped.stderr).toContain("--from-line 3");
    expect(await to.keyvalue.count("bad/")).toBe(2);
    expect(await command(sqlite.address, "import --from-line 4", input)).toMatchObject({
      stdout: "1 entries, 0 lists, 0 records\n",
    });
    expect(await to.keyvalue.count("bad/")).toBe(3);
  }
  const past = '{"key":"bad/past","value":"","expires_at":"2001-01-01T00:00:00Z"}';
  expect(await command(sqlite.address, "import --json", past)).toMatchObject({
    code: 0,
    stdout: '{"entries":0,"lists":0,"records":0,"expired":1}\n',
  });
  expect(await command(sqlite.address, "import /nowhere/file")).toMatchObject({ code: 2 });
});

test("an export whose connection was cut goes on where the file ends", SLOW, async () => {
  const value = "v".repeat(1000);
  const keys = Array.from({ length: 5000 }, (_, i) => `cut/${String(i).padStart(5, "0")}`);
  await from.keyvalue.setMany(keys.map((key) => [key, value]));
  await using proxy = await startTcpProxy(Number(new URL(memory.baseUrl).port));
  const file = join(folder.path, "cut.jsonl");
  const sizeOf = () =>
    stat(file).then(
      ({ size }) => size,
      () => 0,
    );
  proxy.slow(2_000_000);
  const broken = command(`127.0.0.1:${proxy.port}`, `export ${file} --prefix cut/`);
  await waitFor(async () => (await sizeOf()) > 0);
  proxy.refuse();
  expect(await broken).toMatchObject({ code: 5 });
  expect(await sizeOf()).toBeLessThan(keys.length * 1000);
  await appendFile(file, '{"key":"cut/09999","va');
  expect(await command(memory.baseUrl, `export ${file} --prefix cut/`)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--resume goes on where it ends"),
  });
  expect(await command(memory.baseUrl, `export ${file} --prefix cut/ --resume`)).toMatchObject({ code: 0 });
  const lines = linesOf(await readFile(file, "utf8"));
  expect(lines).toEqual(keys.map((key) => JSON.stringify({ key, value })));
  // Nothing more comes; neither into a file that another program wrote.
  expect(await command(memory.baseUrl, `export ${file} --prefix cut/ --resume`)).toMatchObject({ code: 0 });
  expect(linesOf(await readFile(file, "utf8"))).toEqual(lines);
  await writeFile(file, "something else\n");
  expect(await command(memory.baseUrl, `export ${file} --resume`)).toMatchObject({ code: 2 });
  expect(await readFile(file, "utf8")).toBe("something else\n");
  expect(await command(memory.baseUrl, "export --resume")).toMatchObject({ code: 2 });
});

test("an import tells where to go on when the gateway is gone", SLOW, async () => {
  await using proxy = await startTcpProxy(Number(sqlite.address.split(":")[1]));
  proxy.refuse();
  const refused = await command(
    `127.0.0.1:${proxy.port}`,
    "import --from-line 2",
    'no line\n{"key":"k","value":"v"}\n',
  );
  expect(refused).toMatchObject({ code: 5, stdout: "" });
  expect(refused.stderr).toContain("prism: lines before 2 are imported; go on with --from-line 2\n");
});

test("many entries need little memory, both ways", SLOW, async () => {
  const entries = 200_000;
  const value = "v".repeat(500);
  for (let i = 0; i < entries; i += 10_000) {
    const part = Array.from({ length: 10_000 }, (_, j): [string, string] => [`many/${i + j}`, value]);
    await from.keyvalue.setMany(part);
  }
  const file = join(folder.path, "many.jsonl");
  // A hundred megabytes of values do not fit.
  const little = { NODE_OPTIONS: "--max-old-space-size=64" };
  const run = (address: string, line: string) =>
    prism(line.split(" "), { PRISM_ADDRESS: address, ...little });
  expect(await run(memory.baseUrl, `export ${file} --prefix many/`)).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
  expect(await run(sqlite.address, `import ${file}`)).toMatchObject({
    code: 0,
    stdout: `${entries} entries, 0 lists, 0 records\n`,
  });
  expect(await to.keyvalue.count("many/")).toBe(entries);
});

test("a list is exported in several lines, and replaces the one that is there", SLOW, async () => {
  const values = Array.from({ length: 1500 }, (_, i) =>
    i % 7 === 0 ? randomBytes(9) : Buffer.from(`job ${i}`),
  );
  for (const value of values) {
    await from.list.pushRight("jobs", value);
  }
  await to.list.pushRight("jobs", "older");
  const { stdout } = await command(memory.baseUrl, "export - --list jobs");
  expect(linesOf(stdout)).toHaveLength(2);
  const input = `${stdout}{"key":"beside","value":"x"}\n{"list":"short","values":["a",{"value_base64":"/w=="}]}\n`;
  for (let times = 0; times < 2; times++) {
    expect(await command(sqlite.address, "import", input)).toMatchObject({
      stdout: "1 entries, 2 lists, 0 records\n",
    });
    const read = await Array.fromAsync(to.list.range("jobs"));
    expect(read.map((value) => Buffer.from(value))).toEqual(values);
    expect(await Array.fromAsync(to.list.range("short"))).toEqual([
      new Uint8Array([97]),
      new Uint8Array([255]),
    ]);
  }
  expect(await command(memory.baseUrl, "export --list none")).toMatchObject({ code: 4, stdout: "" });
  expect(await command(memory.baseUrl, "export --list jobs --prefix a")).toMatchObject({ code: 2 });
});

test(
  "an export has all lists and records, goes on in the middle of them, and replaces what is there",
  SLOW,
  async () => {
    const item = (key: string | Uint8Array, more: object = {}) => ({ key, value: `of ${key}`, ...more });
    const many = Array.from({ length: 1500 }, (_, i) => item(`k${String(i).padStart(4, "0")}`));
    await from.keyvalue.set("all/entry", "1");
    await from.list.pushRight("all/list:1", "a");
    await from.list.pushRight("all/list:2", Uint8Array.of(255));
    await from.list.pushRight("elsewhere", "b");
    await from.records.put("all/a", many.slice(0, 1000));
    await from.records.put("all/a", many.slice(1000));
    const facts = { compression: "zstd" as const, encryption: { algorithm: "AES", keyId: "k1" } };
    await from.records.put("all/b", [
      item(Uint8Array.of(0, 255), facts),
      item("short", { ttlSeconds: 1000 }),
      item("chunks", { chunking: { totalChunks: 2, chunkSizeBytes: 1, hash: Uint8Array.of(1, 255) } }),
    ]);
    const file = join(folder.path, "all.jsonl");
    const names = ["all/entry", "all/list:1", "all/list:2", "all/a", "all/a", "all/b"];
    const namesIn = async () =>
      linesOf(await readFile(file, "utf8")).map((line) => {
        const { key, list, record } = JSON.parse(line) as Readonly<Record<string, string>>;
        return key ?? list ?? record;
      });
    expect(await command(memory.baseUrl, `export ${file} --prefix all/`)).toMatchObject({ code: 0 });
    expect(await namesIn()).toEqual(names);
    const whole = linesOf(await readFile(file, "utf8"));
    // A list or a record that may not be whole begins anew.
    const resumed = new Map([
      [1, names],
      [2, [...names.slice(0, 2), ...names.slice(1)]],
      [4, [...names.slice(0, 4), ...names.slice(3)]],
    ]);
    for (const [kept, wanted] of resumed) {
      await writeFile(file, `${whole.slice(0, kept).join("\n")}\n{"rec`);
      expect(await command(memory.baseUrl, `export ${file} --prefix all/ --resume`)).toMatchObject({
        code: 0,
      });
      expect(await namesIn()).toEqual(wanted);
    }
    await to.records.put("all/b", [item("older")]);
    await to.list.pushRight("all/list:1", "older");
    for (let times = 0; times < 2; times++) {
      expect(await command(sqlite.address, `import ${file} --json`)).toMatchObject({ code: 0 });
      expect(await Array.fromAsync(to.list.names({ prefix: "all/" }))).toEqual(["all/list:1", "all/list:2"]);
      expect(await Array.fromAsync(to.list.range("all/list:1"))).toEqual([new Uint8Array([97])]);
      expect(await Array.fromAsync(to.records.ids({ prefix: "all/" }))).toEqual(["all/a", "all/b"]);
      const withoutTimes = async (client: PrismClient, id: string) =>
        (await client.records.get(id)).map(({ createdAtMs: _, updatedAtMs: __, ttlSeconds, ...rest }) => ({
          ...rest,
          expires: ttlSeconds !== undefined,
        }));
      for (const id of ["all/a", "all/b"]) {
        expect(await withoutTimes(to, id)).toEqual(await withoutTimes(from, id));
      }
    }
    expect(
      await command(
        sqlite.address,
        "import --json",
        '{"record":"all/b","items":[{"key":"x","value":"y","expires_at":"2001-01-01T00:00:00Z"}]}\n',
      ),
    ).toMatchObject({
      stdout: '{"entries":0,"lists":0,"records":1,"expired":1}\n',
    });
    expect(await to.records.get("all/b")).toEqual([]);
    expect(linesOf((await command(memory.baseUrl, "lists all/")).stdout)).toEqual([
      '{"list":"all/list:1"}',
      '{"list":"all/list:2"}',
    ]);
    expect(linesOf((await command(memory.baseUrl, "record ids --limit 1")).stdout)).toEqual([
      '{"id":"all/a"}',
    ]);
  },
);
