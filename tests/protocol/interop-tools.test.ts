/**
 * RFC-026's integration tests with programs that do not know this repository: Python's grpcio, curl
 * and buf.
 */
import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isThere } from "../helpers/is-there.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { createTestClock, type IntegrationClient, testIntegration } from "./integration.ts";
import { readAnswer } from "./wire.ts";

const run = promisify(execFile);
const clock = createTestClock();
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ clock });
});

afterAll(() => server.stop());

/** A devDependency, which may not be on the PATH. */
const BUF = join(import.meta.dirname, "../../node_modules/.bin/buf");

const works = (program: string, ...args: string[]) =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0;

const python = process.env.PRISM_TEST_PYTHON ?? "python3";
const hasGrpcio = isThere(
  "Python with grpcio",
  works(python, "-c", "import grpc, grpc_tools.protoc"),
  `pip install grpcio grpcio-tools, for ${python} (or the interpreter that PRISM_TEST_PYTHON names).`,
);

test.runIf(hasGrpcio)("Python's grpcio, from the seed's own .proto text", async () => {
  const generated = mkdtempSync(join(tmpdir(), "prism-python-"));
  const protos = join(import.meta.dirname, "seed-protos");
  const out = [`-I${protos}`, `--python_out=${generated}`, `--grpc_python_out=${generated}`];
  execFileSync(python, ["-m", "grpc_tools.protoc", ...out, ...readdirSync(protos)]);

  const script = join(import.meta.dirname, "interop_client.py");
  const client = spawn(python, [script, generated, server.address], { stdio: ["pipe", "pipe", "pipe"] });
  const exited = new Promise((resolve) => client.once("exit", resolve));
  const errors = client.stderr.toArray();
  const passed: string[] = [];
  for await (const line of createInterface(client.stdout)) {
    const [word, argument = ""] = line.split(" ");
    if (word === "sleep") {
      clock.pass(Number(argument));
      client.stdin.write("\n");
    } else {
      passed.push(argument);
    }
  }
  expect(Buffer.concat(await errors).toString()).toBe("");
  expect(await exited).toBe(0);
  const names = ["set_get", "delete", "ttl", "scan", "list_fifo", "list_stack"].map((name) => `test_${name}`);
  // Once plain and once with gzip.
  expect(passed).toEqual([...names, ...names]);
  rmSync(generated, { recursive: true });
});

/**
 * One call: service, method and request as JSON. Answers the messages as JSON; `undefined` =
 * NOT_FOUND.
 */
type JsonCall = (
  service: string,
  method: string,
  request: object,
) => Promise<Record<string, unknown>[] | undefined>;

function overJson(call: JsonCall): IntegrationClient {
  const one = async (service: string, method: string, request: object) =>
    (await call(service, method, request))?.[0];
  const keyvalue = "prism.interfaces.keyvalue.KeyValueBasicInterface";
  const scans = "prism.interfaces.keyvalue.KeyValueScanInterface";
  const list = "prism.interfaces.list.ListBasicInterface";
  const base64 = (value: Buffer) => value.toString("base64");
  const decoded = (value: unknown) => Buffer.from(String(value ?? ""), "base64");
  return {
    async set(key, value, ttlSeconds) {
      const answer = await one(keyvalue, "Set", {
        key,
        value: base64(value),
        ...(ttlSeconds && { ttlSeconds }),
      });
      expect(answer).toEqual({ success: true });
    },
    async get(key) {
      const answer = await one(keyvalue, "Get", { key });
      return answer && decoded(answer.value);
    },
    delete: async (key) => (await one(keyvalue, "Delete", { key }))?.found === true,
    exists: async (key) => (await one(keyvalue, "Exists", { key }))?.exists === true,
    scan: async (prefix) =>
      ((await call(scans, "Scan", { prefix })) ?? []).map(
        ({ key, value }) => [String(key), decoded(value)] as const,
      ),
    count: async (prefix) => Number((await one(scans, "Count", { prefix }))?.count ?? 0),
    push: async (end, listKey, value) =>
      Number((await one(list, `Push${end}`, { listKey, value: base64(value) }))?.newLength),
    async pop(end, listKey) {
      const answer = await one(list, `Pop${end}`, { listKey });
      return answer?.found === true ? decoded(answer.value) : undefined;
    },
    length: async (listKey) => Number((await one(list, "Length", { listKey }))?.length ?? 0),
  };
}

describe.runIf(isThere("curl", works("curl", "--version"), "Debian: apt-get install curl")).each([
  ["HTTP/1.1", ["--http1.1"], "1.1"],
  ["HTTP/2 without TLS", ["--http2-prior-knowledge"], "2"],
  // Asks to upgrade and accepts an answer in HTTP/1.1.
  ["HTTP/2 by an upgrade", ["--http2"], "1.1"],
])("curl, %s", (_name, flags, version) => {
  const call: JsonCall = async (service, method, request) => {
    const stream = method.startsWith("Scan");
    const json = Buffer.from(JSON.stringify(request));
    const head = Buffer.alloc(stream ? 5 : 0);
    if (stream) {
      head.writeUInt32BE(json.length, 1);
    }
    const type = stream ? "application/connect+json" : "application/json";
    const url = `${server.baseUrl}/${service}/${method}`;
    const args = [
      ...flags,
      "-sS",
      "-H",
      `Content-Type: ${type}`,
      "--data-binary",
      "@-",
      "-w",
      "%{stderr}%{http_code} %{http_version}",
      url,
    ];
    const child = run("curl", args, { encoding: "buffer" });
    child.child.stdin?.end(Buffer.concat([head, json]));
    const { stdout, stderr } = await child;
    const [httpStatus, httpVersion] = stderr.toString().split(" ");
    expect(httpVersion).toBe(version);
    const headers = { "content-type": Number(httpStatus) === 200 ? type : "application/json" };
    const answer = readAnswer({ httpStatus: Number(httpStatus), headers, trailers: {}, body: stdout });
    if (answer.code === "not_found") {
      return undefined;
    }
    expect(answer.code).toBe("ok");
    return answer.messages.map((message) => JSON.parse(message.toString()));
  };

  testIntegration(() => overJson(call), clock.pass);
});

describe.each(["connect", "grpc", "grpcweb"])("buf curl with reflection, --protocol %s", (protocol) => {
  const call: JsonCall = async (service, method, request) => {
    const args = [
      "curl",
      "--http2-prior-knowledge",
      "--protocol",
      protocol,
      "--emit-defaults",
      "-d",
      JSON.stringify(request),
    ];
    const url = `${server.baseUrl}/${service}/${method}`;
    const { stdout } = await run(BUF, [...args, url]).catch((error: { stderr?: string }) => {
      expect(error.stderr).toContain('"code": "not_found"');
      return { stdout: undefined };
    });
    return stdout === undefined ? undefined : parseMany(stdout);
  };

  test("the RFC's calls", async () => {
    const client = overJson(call);
    const value = Buffer.from("value");
    await client.set("k", value);
    await Promise.all([client.push("Right", "l", Buffer.from("1")), client.set("expires", value, 1)]);
    await client.push("Right", "l", Buffer.from("2"));
    const [read, missing, scanned, length] = await Promise.all([
      client.get("k"),
      client.get("missing"),
      client.scan("k"),
      client.length("l"),
    ]);
    expect(read).toEqual(value);
    expect(missing).toBeUndefined();
    expect(scanned).toEqual([["k", value]]);
    expect(length).toBe(2);
    clock.pass(1500);
    const [first, gone, deleted] = await Promise.all([
      client.pop("Left", "l"),
      client.exists("expires"),
      client.delete("k"),
    ]);
    expect(first).toEqual(Buffer.from("1"));
    expect(await client.pop("Right", "l")).toEqual(Buffer.from("2"));
    expect(gone).toBe(false);
    expect(deleted).toBe(true);
  });
});

/** JSON values one after another. */
function parseMany(text: string): Record<string, unknown>[] {
  return text
    .split(/^(?=\{)/m)
    .filter((each) => each.trim() !== "")
    .map((each) => JSON.parse(each));
}
