import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { done, hasTerminals, SLOW, useGateway } from "../../tests/helpers/commands.ts";
import { temporaryFolder } from "../../tests/helpers/process.ts";

const gateway = useGateway();
const run = (line: string, input?: string | Uint8Array) => gateway.run(`ts ${line}`, input);
const linesOf = (stdout: string): unknown[] =>
  stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
const refused = (told: string) => ({ code: 2, stdout: "", stderr: expect.stringContaining(told) });

test("events are appended, and found by time and tag", SLOW, async () => {
  expect(await run("append s first --time 2026-01-31 --tag room=attic --tag floor=2")).toEqual(done("0\n"));
  expect(await run("append s - --time 2026-01-31T12:00:00.5", Uint8Array.of(0xff))).toEqual(done("1\n"));
  const timestamp_ms = Date.parse("2026-02-01T11:00:00Z");
  expect(await run("append s -5 --time 2026-02-01T12:00:00+01:00 --json")).toEqual(
    done(`{"stream":"s","offset":2,"timestamp_ms":${timestamp_ms}}\n`),
  );
  const all = await run("query s");
  expect(all).toEqual(done(expect.any(String)));
  expect(linesOf(all.stdout)).toEqual([
    {
      offset: 0,
      timestamp_ms: Date.parse("2026-01-31T00:00:00Z"),
      tags: { room: "attic", floor: "2" },
      payload: "first",
    },
    { offset: 1, timestamp_ms: Date.parse("2026-01-31T12:00:00.5Z"), tags: {}, payload_base64: "/w==" },
    { offset: 2, timestamp_ms, tags: {}, payload: "-5" },
  ]);
  const offsets = async (line: string) =>
    linesOf((await run(`query s ${line}`)).stdout).map((event) => Reflect.get(Object(event), "offset"));
  expect(await offsets("--from 2026-01-31T01:00:00Z")).toEqual([1, 2]);
  expect(await offsets(`--to ${timestamp_ms} --limit 1`)).toEqual([0]);
  expect(await offsets("--tag room=attic --tag floor=2")).toEqual([0]);
  expect(await offsets("--tag room=cellar")).toEqual([]);
  for (const day of ["2026-02-30", "2026-04-31T10:00:00Z"]) {
    expect(await run(`append s x --time ${day}`)).toEqual(refused("expected a time"));
  }
  expect(await run("tail s --from-offset 1 --limit 2")).toEqual(
    done(all.stdout.slice(all.stdout.indexOf("\n") + 1)),
  );
});

test("each line of an input is an event", SLOW, async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "lines");
  const lines = Array.from({ length: 2500 }, (_, i) => `line ${i}`);
  await writeFile(file, `${lines.join("\n")}\n`);
  expect(await run(`append l --lines --tag of=file --file ${file}`)).toEqual(done("2500\n"));
  expect(await run("append l --lines --json", "a\n\nb")).toEqual(done('{"stream":"l","appended":3}\n'));
  const events = linesOf((await run("query l")).stdout);
  expect(events.map((event) => Reflect.get(Object(event), "payload"))).toEqual([...lines, "a", "", "b"]);
  const notUtf8 = Buffer.concat([Buffer.from("good\n"), Uint8Array.of(0xff, 10)]);
  expect(await run("append l --lines", notUtf8)).toEqual(
    refused("line 2 is not UTF-8, or too long; 1 lines"),
  );
  expect(await run("append l --lines --tag of=", "a\nb\n")).toEqual(done("2\n"));
  expect(await run(`append l --lines --file ${folder.path}/none`)).toEqual(refused("no such file"));
  expect(await run("append l payload --lines")).toEqual(refused("give one of both"));
  expect(await run("append l --lines --namespace none", "a\n")).toEqual({
    code: 4,
    stdout: "",
    stderr: expect.stringMatching(/^prism: line 1: .*; 0 lines are appended\n/),
  });
});

test("a tail prints what comes, at once", SLOW, async () => {
  await using client = new PrismClient(gateway.server.address);
  await client.timeseries.append("t", "old");
  const tailing = run("tail t --limit 1");
  // Until the tail has begun, an event would be an old one.
  let isOver = false;
  void tailing.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    await client.timeseries.append("t", "new");
  }
  const { code, stdout } = await tailing;
  expect(code).toBe(0);
  expect(linesOf(stdout)).toMatchObject([{ payload: "new" }]);
});

test("streams are made, described, named and deleted", SLOW, async () => {
  expect(await run("create made/1 --retention-days 7")).toEqual(done(""));
  expect(await run("create made/1 --retention-days 8 --json")).toEqual(done('{"stream":"made/1"}\n'));
  expect(linesOf((await run("describe made/1")).stdout)).toEqual([
    {
      stream: "made/1",
      retention_days: 8,
      partitions: 1,
      replication_factor: 1,
      created_at_ms: expect.any(Number),
      first_offset: 0,
      next_offset: 0,
    },
  ]);
  expect(await run("list made/")).toEqual(done('{"stream":"made/1"}\n'));
  expect(await run("create made/1 --partitions 2")).toMatchObject({ code: 1, stdout: "" });
  expect(await run("delete made/1")).toEqual(done("true\n"));
  expect(await run("delete made/1 --json")).toEqual({
    code: 4,
    stdout: '{"stream":"made/1","deleted":false}\n',
    stderr: "",
  });
  for (const line of [
    "query none",
    "tail none",
    "tail none --from-offset 0",
    "describe none",
    "aggregate none",
  ]) {
    expect(await run(line), line).toMatchObject({ code: 4, stdout: "" });
  }
});

test("numbers are summed up by time and tags", SLOW, async () => {
  await run("append n 1 --time 2026-01-31T12:00:00 --tag room=attic");
  await run("append n 3 --time 2026-01-31T12:04:59 --tag room=attic");
  await run("append n warm --time 2026-01-31T12:05:00 --tag room=cellar");
  const { code, stdout } = await run("aggregate n --bucket 5m --by room");
  expect(code).toBe(0);
  expect(linesOf(stdout)).toEqual([
    {
      start_ms: Date.parse("2026-01-31T12:00:00Z"),
      tags: { room: "attic" },
      count: 2,
      numbers: 2,
      sum: 4,
      min: 1,
      max: 3,
      avg: 2,
      p50: expect.closeTo(1, 1),
      p95: expect.closeTo(3, 1),
      p99: expect.closeTo(3, 1),
    },
    { start_ms: Date.parse("2026-01-31T12:05:00Z"), tags: { room: "cellar" }, count: 1, numbers: 0 },
  ]);
});

test.runIf(hasTerminals())("a terminal has lines for people", SLOW, async () => {
  await run("append p a\\u001b --time 2026-01-31 --tag room=attic --tag floor=2");
  await run("append p 5 --time 2026-01-31T12:00:00");
  expect(await gateway.shown("ts query p")).toMatch(
    /^0\t2026-01-31T00:00:00.000Z\troom=attic floor=2\ta.*\r\n1\t2026-01-31T12:00:00.000Z\t\t5\r\n$/,
  );
  expect(await gateway.shown("ts list p")).toBe("p\r\n");
  expect(await gateway.shown("ts aggregate p --tag room=attic")).toBe(
    "TIME\tCOUNT\tsum\tmin\tmax\tavg\tp50\tp95\tp99\r\n1970-01-01T00:00:00.000Z\t1\t\t\t\t\t\t\t\r\n",
  );
});

test("wrong arguments have exit code 2 and are named", SLOW, async () => {
  expect(await run("append w x --tag room")).toEqual(refused("option --tag: expected NAME=VALUE"));
  expect(await run("append w x --tag a=1 --tag a=2")).toEqual(refused("a name stands there twice"));
  for (const time of ["noon", "2026-13-01", "2026-01-31T12", "-5"]) {
    expect(await run(`query w --from ${time}`), time).toEqual(refused("option --from: expected a time"));
  }
  expect(await run("aggregate w --bucket 5")).toEqual(refused("option --bucket: expected a number with"));
  expect(await run("append w x --file y")).toEqual(refused("give one of both"));
});
