import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { done, SLOW, useGateway } from "../../tests/helpers/commands.ts";
import { prismBytes, temporaryFolder } from "../../tests/helpers/process.ts";

const gateway = useGateway();
const run = (line: string, input?: string | Uint8Array) => gateway.run(`record ${line}`, input);
const linesOf = (stdout: string): unknown[] =>
  stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));

test("items are written, read by key and range, and deleted", SLOW, async () => {
  expect(await run("put r a 1")).toEqual(done(""));
  expect(await run("put r b 2 --ttl 100 --json")).toEqual(done('{"id":"r","key":"b"}\n'));
  expect(await run("put r c -", "3")).toEqual(done(""));
  const all = await run("get r");
  const times = { created_at_ms: expect.any(Number), updated_at_ms: expect.any(Number) };
  expect(linesOf(all.stdout)).toEqual([
    { key: "a", value: "1", ...times },
    { key: "b", value: "2", ...times, ttl_seconds: 100 },
    { key: "c", value: "3", ...times },
  ]);
  const keysOf = async (line: string) =>
    linesOf((await run(line)).stdout).map((item) => Reflect.get(Object(item), "key"));
  expect(await keysOf("get r c a none")).toEqual(["a", "c"]);
  expect(await keysOf("get r --start b")).toEqual(["b", "c"]);
  expect(await keysOf("get r --start a --end c")).toEqual(["a", "b"]);
  expect(await run("get r a --raw")).toEqual(done("1"));
  expect(await run("scan r --keys --limit 2")).toEqual(done('{"key":"a"}\n{"key":"b"}\n'));
  expect((await run("scan r")).stdout).toBe(all.stdout);
  expect(await run("delete r a none")).toEqual(done("1\n"));
  expect(await run("delete r --all --json")).toEqual(done('{"deleted":2}\n'));
});

test("what is not there has exit code 4", SLOW, async () => {
  const absent = { code: 4, stdout: "", stderr: "prism: no such item in the record: none\n" };
  expect(await run("get none")).toEqual(absent);
  expect(await run("get none k")).toEqual(absent);
  expect(await run("scan none")).toEqual(done(""));
  expect(await run("delete none --all")).toEqual({ code: 4, stdout: "0\n", stderr: "" });
});

test("no byte of a key or a value changes", SLOW, async () => {
  await using folder = await temporaryFolder();
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const file = join(folder.path, "value");
  await writeFile(file, every);
  expect(await run(`put b /wA= --base64-keys --file ${file}`)).toEqual(done(""));
  expect(await run("put b k -", every)).toEqual(done(""));
  for (const key of ["k", "/wA= --base64-keys"]) {
    const line = `record get b ${key} --raw --address ${gateway.server.address}`;
    expect((await prismBytes(line.split(" "))).stdout).toEqual(every);
  }
  expect(linesOf((await run("get b --start /w== --base64-keys")).stdout)).toMatchObject([
    { key_base64: "/wA=", value_base64: every.toString("base64") },
  ]);
  expect(await run("scan b --keys")).toEqual(done('{"key":"k"}\n{"key_base64":"/wA="}\n'));
  expect(await run("delete b /wA= --base64-keys")).toEqual(done("1\n"));
});

test("an item is replaced only if it has the expected value", SLOW, async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "expected");
  await writeFile(file, "1");
  const different = (stdout: string) => ({ code: 3, stdout, stderr: "" });
  expect(await run("cas s k 1 --absent")).toEqual(done("true\n"));
  expect(await run("cas s k 2 --absent")).toEqual(different("false\n"));
  expect(await run("cas s k 2 --expected 0 --json")).toEqual(
    different('{"id":"s","key":"k","swapped":false,"value":"1"}\n'),
  );
  expect(await run(`cas s k 2 --expected-file ${file}`)).toEqual(done("true\n"));
  expect(await run("cas s other 2 --expected 0 --json")).toEqual(
    different('{"id":"s","key":"other","swapped":false}\n'),
  );
  expect(await run("get s k --raw")).toEqual(done("2"));
});

test("wrong arguments have exit code 2 and are named", SLOW, async () => {
  const refused = (told: string) => ({ code: 2, stdout: "", stderr: expect.stringContaining(told) });
  expect(await run("put w k v --ttl soon")).toEqual(refused("option --ttl: expected a whole number"));
  expect(await run("put w k v --base64-keys")).toEqual(refused('the key "k" is no base64'));
  expect(await run("get w k --start a")).toEqual(refused("keys cannot be given with start or end"));
  expect(await run("get w --start \u{fffd}")).toEqual(refused("is not UTF-8"));
  expect(await run("get w --raw")).toEqual(refused("option --raw: expected one key"));
  expect(await run("delete w")).toEqual(refused("or --all for the whole record"));
  expect(await run("delete w k --all")).toEqual(refused("give one of both"));
  expect(await run("cas w k v")).toEqual(refused("give one of --expected VALUE"));
  expect(await run("cas w k v --expected a --absent")).toEqual(refused("give one of --expected VALUE"));
});
