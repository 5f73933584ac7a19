import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { done, hasTerminals, SLOW, useGateway } from "../../tests/helpers/commands.ts";
import { freePort } from "../../tests/helpers/port.ts";
import { MAIN, prism, prismBytes, spawnServer, temporaryFolder } from "../../tests/helpers/process.ts";
import { hashApiKey } from "../auth/api-keys.ts";

const KEY = "an-own-key.of-24-letters";

const gateway = useGateway();
const { run, shown } = gateway;

test("an entry is written, read, counted and deleted", SLOW, async () => {
  expect(await run("set e:1 hello")).toEqual(done(""));
  expect(await run("get e:1")).toEqual(done("hello"));
  expect(await run("get e:1 --json")).toEqual(done('{"key":"e:1","value":"hello"}\n'));
  expect(await run("exists e:1")).toEqual(done("true\n"));
  expect(await run("ttl e:1")).toEqual(done("never\n"));
  expect(await run("ttl e:1 --json")).toEqual(done('{"key":"e:1","ttl_seconds":null}\n'));
  expect(await run("set e:2 x --ttl 100 --json")).toEqual(done('{"key":"e:2"}\n'));
  expect(Number((await run("ttl e:2")).stdout)).toBeGreaterThan(1);
  expect(await run("incr e:n")).toEqual(done("1\n"));
  expect(await run("incr e:n -3 --json")).toEqual(done('{"key":"e:n","value":"-2"}\n'));
  expect(await run("incr e:m 9007199254740993 --initial 1")).toEqual(done("9007199254740994\n"));
  expect(await run("count e:")).toEqual(done("4\n"));
  expect(await run("del e:1 e:none")).toEqual(done("1\n"));
  expect(await run("count e: --json")).toEqual(done('{"count":3}\n'));
});

test("what is not there has exit code 4", SLOW, async () => {
  expect(await run("get none")).toEqual({ code: 4, stdout: "", stderr: "prism: key not found: none\n" });
  expect(await run("ttl none")).toMatchObject({ code: 4, stdout: "" });
  expect(await run("exists none")).toEqual({ code: 4, stdout: "false\n", stderr: "" });
  expect(await run("del none")).toEqual({ code: 4, stdout: "0\n", stderr: "" });
  expect(await run("pop none")).toEqual({
    code: 4,
    stdout: "",
    stderr: "prism: the list is empty: none\n",
  });
  expect(await run("get k --namespace nobodys")).toEqual({
    code: 4,
    stdout: "",
    stderr: 'prism: no namespace "nobodys"\n',
  });
});

test("no byte of a value changes, from standard input, a file and an argument", SLOW, async () => {
  await using folder = await temporaryFolder();
  const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const file = join(folder.path, "value");
  await writeFile(file, every);
  expect(await run("set b:stdin -", every)).toEqual(done(""));
  expect(await run("set b:absent", every)).toEqual(done(""));
  expect(await run(`set b:file --file ${file}`)).toEqual(done(""));
  for (const key of ["b:stdin", "b:absent", "b:file"]) {
    expect((await prismBytes(["get", key, "--address", gateway.server.address])).stdout).toEqual(every);
  }
  const text = "\u{feff}ä\u0000\n";
  await run("set b:text -", text);
  expect(JSON.parse((await run("get b:text --json")).stdout)).toEqual({ key: "b:text", value: text });
  expect(JSON.parse((await run("get b:file --json")).stdout)).toEqual({
    key: "b:file",
    value_base64: every.toString("base64"),
  });
  expect(await run(`set b:both x --file ${file}`)).toMatchObject({ code: 2 });
  expect(await run("set b:\u{fffd} x")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("is not UTF-8"),
  });
});

test("a scan is a JSON line for each entry", SLOW, async () => {
  await run("set s:1 one");
  await run("set s:2 -", Buffer.from([255]));
  expect(await run("scan s:")).toEqual(
    done('{"key":"s:1","value":"one"}\n{"key":"s:2","value_base64":"/w=="}\n'),
  );
  expect(await run("scan s: --keys --reverse --limit 1")).toEqual(done('{"key":"s:2"}\n'));
  expect(await run("scan nothing")).toEqual(done(""));
});

test("lists", SLOW, async () => {
  expect(await run("push l b")).toEqual(done("1\n"));
  expect(await run("push l a --left --json")).toEqual(done('{"list":"l","length":2}\n'));
  expect(await run("push l -", Buffer.from([255]))).toEqual(done("3\n"));
  expect(await run("len l")).toEqual(done("3\n"));
  expect(await run("range l")).toEqual(done('{"value":"a"}\n{"value":"b"}\n{"value_base64":"/w=="}\n'));
  expect(await run("range l 0 0")).toEqual(done('{"value":"a"}\n'));
  expect(await run("range l -1")).toEqual(done('{"value_base64":"/w=="}\n'));
  expect(await run("pop l --right --json")).toEqual(done('{"list":"l","value_base64":"/w=="}\n'));
  expect(await run("pop l")).toEqual(done("a"));
});

test("wrong arguments have exit code 2 and are named", SLOW, async () => {
  const refused = (told: string) => ({ code: 2, stdout: "", stderr: expect.stringContaining(told) });
  expect(await run("set k v --ttl soon")).toEqual(refused("option --ttl: expected a whole number"));
  expect(await run("incr k one")).toEqual(refused('NUMBER: expected a whole number, found "one"'));
  expect(await run("get k --namespace UPPER")).toEqual(refused("namespace must be"));
  expect(await run("get k --address a:b:c")).toEqual(refused('not an address: "a:b:c"'));
  expect(await run("get k --token-file /nowhere/key")).toEqual(refused("/nowhere/key"));
  expect(await prism(["get", "k"], { PRISM_TOKEN: "two words" })).toEqual(refused("PRISM_TOKEN has no key"));
});

test("an address without a gateway has exit code 5 and says what to check", SLOW, async () => {
  const closed = `127.0.0.1:${await freePort()}`;
  const nobody = await run(`get k --address ${closed}`);
  expect(nobody).toMatchObject({ code: 5, stdout: "" });
  expect(nobody.stderr).toContain(`prism: no connection to ${closed}: nothing listens there`);
  expect(nobody.stderr).toContain("--address or PRISM_ADDRESS says where the gateway is");
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  await writeFile(config, "database: {type: memory}\nadmin: {console: false}\n");
  await using server = await spawnServer(["--config", config]);
  const other = await run(`get k --address ${new URL(server.adminUrl).host}`);
  expect(other).toMatchObject({ code: 1, stdout: "" });
  expect(other.stderr).toContain("check that this is a gateway's data port");
  const tls = await run(`get k --address https://${gateway.server.address}`);
  expect(tls).toMatchObject({ code: 5, stdout: "" });
  expect(tls.stderr).toContain("make it an http address");
});

test("who shows no key, or a wrong one, is denied with exit code 6", SLOW, async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  const keyFile = join(folder.path, "key");
  await writeFile(
    config,
    `auth:
  api_keys: [{name: a, hash: "${hashApiKey(KEY)}", roles: [r]}]
  roles: [{name: r, grants: [{namespaces: default, permissions: [read, write]}]}]
`,
  );
  await writeFile(keyFile, `${KEY}\n`);
  await using guarded = await spawnServer(["--memory", "--config", config]);
  const get = (token: string, ...more: string[]) =>
    prism(["exists", "k", "--address", guarded.address, ...more], { PRISM_TOKEN: token });
  expect(await get("")).toMatchObject({ code: 6, stdout: "" });
  expect(await get(`${KEY}x`)).toMatchObject({ code: 6, stdout: "" });
  expect(await get(KEY)).toMatchObject({ code: 4, stdout: "false\n" });
  expect(await get("", "--token-file", keyFile)).toMatchObject({ code: 4, stdout: "false\n" });
});

test.runIf(hasTerminals())("a line on a terminal is for people, and no value commands it", SLOW, async () => {
  await run("set t:1 -", "a\u001b[2Jb");
  await run("set t:2 -", Buffer.from([255, 0]));
  await run("set t:3 -", "x".repeat(500));
  expect(await shown("scan t:")).toBe(
    `t:1\ta\\u001b[2Jb\r\nt:2\t(2 bytes)\r\nt:3\t${"x".repeat(200)}... (500 characters)\r\n`,
  );
  expect(await shown("scan t: --limit 1 --json")).toBe('{"key":"t:1","value":"a\\u001b[2Jb"}\r\n');
  expect(await shown("get t:3")).toBe(`${"x".repeat(500)}\r\n`);
});

test("a reader that leaves early is no failure to talk about", SLOW, async () => {
  for (let i = 0; i < 3; i++) {
    await run(`set r:${i} -`, "x".repeat(1_000_000));
  }
  const command = `"${process.execPath}" "${MAIN}" scan r: --address ${gateway.server.address} | head -c 10`;
  const child = spawn("sh", ["-c", command], { stdio: ["ignore", "pipe", "pipe"] });
  const [stdout, stderr] = await Promise.all([Array.fromAsync(child.stdout), Array.fromAsync(child.stderr)]);
  expect(Buffer.concat(stdout).toString()).toBe('{"key":"r:');
  expect(Buffer.concat(stderr).toString()).toBe("");
});
