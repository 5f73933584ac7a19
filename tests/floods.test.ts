import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import http2 from "node:http2";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FLOODS } from "./helpers/floods.ts";
import { type ServerProcess, spawnServer } from "./helpers/process.ts";
import { until } from "./helpers/until.ts";

const PROGRAM = fileURLToPath(new URL("helpers/flood-program.ts", import.meta.url));
const PROBE = new URL("helpers/turn-probe.ts", import.meta.url).href;
const KEYVALUE = "/prism.interfaces.keyvalue.KeyValueBasicInterface";

/**
 * The most milliseconds of processor time that a flood may take of one turn: of most turns, and of
 * the first ones. The first turns run cold code, or end a connection with a thousand calls. A
 * well-behaved caller waits for two or three turns.
 */
const MAX_MEDIAN_MS = 50;
const MAX_TURN_MS = 250;
const CONNECTIONS = 4;
const CALLS = 5;
const MIN_FLOOD_MS = 300;

let server: ServerProcess;
let attacker: ChildProcess;
/** The program's output. */
let begun: Interface;
let session: http2.ClientHttp2Session;

/** The well-behaved caller, in another process than the attacker. */
async function call(method: string, body: object): Promise<void> {
  const stream = session.request({
    ":method": "POST",
    ":path": `${KEYVALUE}/${method}`,
    "content-type": "application/json",
  });
  stream.end(JSON.stringify(body));
  const [headers] = await once(stream, "response");
  expect(headers[":status"]).toBe(200);
  await once(stream.resume(), "close");
}

/** The processor time of the server's turns since the last question. */
async function turns(): Promise<{ median_turn_ms: number; longest_turn_ms: number }> {
  const before = server.lines.length;
  server.child.kill("SIGUSR2");
  const answer = () => server.lines.slice(before).find((line) => line.includes("longest_turn_ms"));
  await until("the server's turns", () => answer() !== undefined);
  return JSON.parse(answer() ?? "");
}

beforeAll(async () => {
  server = await spawnServer(["--memory"], undefined, ["--import", PROBE]);
  session = http2.connect(`http://${server.address}`);
  // Enough for a scan of several pages.
  const value = Buffer.alloc(100).toString("base64");
  for (let i = 0; i < 20; i++) {
    await Promise.all(Array.from({ length: 100 }, (_, j) => call("Set", { key: `k${i * 100 + j}`, value })));
  }
  const child = spawn(process.execPath, [PROGRAM, server.address, String(CONNECTIONS)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  begun = createInterface(child.stdout);
  attacker = child;
}, 60_000);

afterAll(async () => {
  attacker.stdin?.end();
  await once(attacker, "exit");
  session.destroy();
  await server[Symbol.asyncDispose]();
});

test.for(FLOODS.map(({ name }) => name))("%s", { timeout: 30_000 }, async (name) => {
  const line = once(begun, "line");
  attacker.stdin?.write(`${name}\n`);
  expect(await line).toEqual([name]);
  await turns();
  const endsAt = performance.now() + MIN_FLOOD_MS;
  for (let i = 0; i < CALLS || performance.now() < endsAt; i++) {
    await call("Exists", { key: "k1" });
  }
  const { median_turn_ms, longest_turn_ms } = await turns();
  expect(median_turn_ms).toBeLessThan(MAX_MEDIAN_MS);
  expect(longest_turn_ms).toBeLessThan(MAX_TURN_MS);
});
