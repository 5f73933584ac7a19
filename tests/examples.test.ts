/** The programs of examples/, run as their README.md says, against a gateway in its own process. */
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { PrismClient } from "../client/node.ts";
import { type Child, spawnChild } from "./helpers/child.ts";
import { canStartChromium, type Page, startChromium } from "./helpers/chromium.ts";
import { isThere } from "./helpers/is-there.ts";
import { freePort } from "./helpers/port.ts";
import { type ServerProcess, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { waitFor } from "./helpers/until.ts";

const run = promisify(execFile);
const EXAMPLES = fileURLToPath(new URL("../examples", import.meta.url));
const APP = join(EXAMPLES, "browser-app");
const VITE = fileURLToPath(new URL("../node_modules/vite/bin/vite.js", import.meta.url));

let gateway: ServerProcess;

beforeAll(async () => {
  gateway = await spawnServer(["--memory"]);
});

afterAll(() => gateway[Symbol.asyncDispose]());

describe("the Node service", { timeout: 300_000 }, () => {
  test("keeps sessions, delivers messages and counts", async () => {
    const service = await startService(gateway.address);
    const { token } = await service.post("/login", { user: "alice" });
    const alice = { authorization: `Bearer ${token}` };
    const { status, id } = await service.post("/messages", { to: "bob", text: "hi" }, alice);
    expect(status).toBe(202);
    const delivered = { from: "alice", to: "bob", text: "hi", state: "delivered", attempts: 1 };
    await waitFor(async () => expect(await service.get(`/messages/${id}`, alice)).toMatchObject(delivered));
    expect(await service.get("/stats")).toMatchObject({ sessions: 1, waiting: 0 });

    const { token: other } = await service.post("/login", { user: "bob" });
    const bob = { authorization: `Bearer ${other}` };
    expect(await service.get(`/messages/${id}`, bob)).toMatchObject({ status: 404 });
    await using client = new PrismClient(gateway.address);
    await client.keyvalue.set("cache:stats", '{"sessions":42,"waiting":7}');
    expect(await service.get("/stats")).toMatchObject({ sessions: 42, waiting: 7 });

    expect(await service.post("/logout", {}, alice)).toMatchObject({ status: 204 });
    expect(await service.get(`/messages/${id}`, alice)).toMatchObject({ status: 401 });
    expect(await service.post("/login", { user: "no such name" })).toMatchObject({ status: 400 });

    service.child.process.kill("SIGTERM");
    expect(await once(service.child.process, "exit")).toEqual([0, null]);
  });

  test("takes ten messages a minute of each user", async () => {
    const service = await startService(gateway.address);
    const { token } = await service.post("/login", { user: "carol" });
    const carol = { authorization: `Bearer ${token}` };
    const message = { to: "bob", text: "hi" };
    const answers = [];
    for (let count = 0; count < 11; count++) {
      answers.push(await service.post("/messages", message, carol));
    }
    expect(answers.map(({ status }) => status)).toEqual([...Array(10).fill(202), 429]);
    expect(answers.at(-1)?.message).toMatch(/^10 messages a minute; there is room in [1-6]?\d s$/);
  });

  test("delivers a message again whose worker was killed, and gives up after three failures", async () => {
    // No message of another test waits there.
    await using own = await spawnServer(["--memory"]);
    const receiver = await startReceiver();
    const env = { DELIVERY_URL: receiver.url, WORKER: "w1" };
    const first = await startService(own.address, env);
    const { token } = await first.post("/login", { user: "dave" });
    const dave = { authorization: `Bearer ${token}` };
    const { id } = await first.post("/messages", { to: "bob", text: "one" }, dave);
    expect((await receiver.next()).id).toBe(id);
    first.child.process.kill("SIGKILL");
    await first.child.exited;

    const second = await startService(own.address, env);
    const again = await receiver.next();
    expect(again).toMatchObject({ id, message: { from: "dave", to: "bob", text: "one" } });
    again.answer(200);
    const state = (of: unknown) => second.get(`/messages/${of}`, dave);
    await waitFor(async () => expect(await state(id)).toMatchObject({ state: "delivered", attempts: 2 }));

    const { id: bad } = await second.post("/messages", { to: "bob", text: "two" }, dave);
    for (let attempt = 1; attempt <= 3; attempt++) {
      const tried = await receiver.next();
      expect(tried.id).toBe(bad);
      tried.answer(500);
    }
    await waitFor(async () => expect(await state(bad)).toMatchObject({ state: "failed", attempts: 3 }));
  });

  test("says that the store is away", async () => {
    await using away = await spawnServer(["--memory"]);
    const service = await startService(away.address);
    await away[Symbol.asyncDispose]();
    const answer = await service.post("/login", { user: "alice" });
    expect(answer).toMatchObject({ status: 503, message: "the store does not answer; try again later" });
  });
});

describe.runIf(canStartChromium())("the browser app", () => {
  test("two pages edit one note, and nobody's words are lost", { timeout: 300_000 }, async () => {
    await using folder = await temporaryFolder();
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    vi.stubEnv("PAGE_ORIGIN", origin);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const config = join(APP, "prism.yaml");
    await using own = await spawnServer(["--config", config, "--memory"]);
    await startVite(port, `http://${own.address}`);
    await using browser = await startChromium(join(folder.path, "profile"));
    const alice = await openNotes(await browser.open(origin));
    const bob = await openNotes(await browser.open(origin));

    await alice.write("Shopping", "milk");
    await alice.click("#save");
    await bob.click("#list button");
    await bob.sees("#text", "milk");
    await bob.write("Shopping", "milk, bread");
    await bob.click("#save");
    await bob.sees("#status", "Saved.");

    await alice.write("Shopping", "milk, eggs");
    await alice.click("#save");
    await alice.sees("#their-text", "milk, bread");
    await alice.click("#keep-mine");
    await waitFor(async () => expect(await alice.isHidden("#conflict")).toBe(true));
    await alice.sees("#status", "Saved.");

    await bob.write("Groceries", "milk, bread");
    await bob.click("#delete");
    await bob.sees("#their-text", "milk, eggs");
    await bob.click("#take-theirs");
    await bob.sees("#text", "milk, eggs");
    await bob.click("#delete");
    await waitFor(async () => expect(await alice.isHidden("#empty")).toBe(false));
    expect(await alice.isHidden("#list button")).toBe(undefined);

    await own[Symbol.asyncDispose]();
    await alice.sees("#status", expect.stringContaining(own.address));
  });

  test("is built", async () => {
    await using folder = await temporaryFolder();
    await run(process.execPath, [VITE, "build", APP, "--outDir", folder.path]);
    expect(await readFile(join(folder.path, "index.html"), "utf8")).toContain('src="/assets/');
  });
});

/** Serves the page until the test ends. */
async function startVite(port: number, gatewayUrl: string): Promise<void> {
  const listen = ["--host", "127.0.0.1", "--port", String(port), "--strictPort"];
  const child = spawnChild("ready in", process.execPath, [VITE, APP, ...listen], {
    env: { ...process.env, VITE_PRISM_URL: gatewayUrl },
  });
  onTestFinished(async () => {
    child.process.kill("SIGKILL");
    await child.exited;
  });
  await child.ready;
}

/** What a person does with the page. */
async function openNotes(page: Page) {
  const query = (selector: string) => `document.querySelector(${JSON.stringify(selector)})`;
  const write = (selector: string, text: string) =>
    page.evaluate(`${query(selector)}.value = ${JSON.stringify(text)}`);
  // The list is there when the page has loaded and asked the gateway.
  const isLoaded = `${query("#empty")}?.hidden === false || ${query("#list button")} !== null`;
  await waitFor(async () => expect(await page.evaluate(isLoaded)).toBe(true));
  return {
    async write(title: string, text: string) {
      await write("#title", title);
      await write("#text", text);
    },
    /** Waits for what it clicks on. */
    click: (selector: string) => waitFor(() => page.evaluate(`${query(selector)}.click()`)),
    /** Waits for a text, or for the value of a field. */
    sees: (selector: string, text: unknown) =>
      waitFor(async () => {
        const seen = await page.evaluate(`${query(selector)}.value ?? ${query(selector)}.textContent`);
        expect(seen).toEqual(text);
      }),
    isHidden: (selector: string) => page.evaluate(`${query(selector)}?.hidden`),
  };
}

/** What the programs in other languages print. */
const PRINTED = `get user:1: alice
scan: user:1 alice
scan: user:2 bob
get nobody: REASON_KEY_NOT_FOUND, retryable false
pop: job-1
pop: job-2
`;

const works = (program: string, ...args: string[]) =>
  spawnSync(program, args, { stdio: "ignore" }).status === 0;

const python = process.env.PRISM_TEST_PYTHON ?? "python3";
const hasGrpcio = isThere(
  "Python with grpcio and grpcio-status",
  works(python, "-c", "import grpc, grpc_status, grpc_tools.protoc"),
  `pip install -r examples/python/requirements.txt, for ${python} (or what PRISM_TEST_PYTHON names).`,
);

test.runIf(hasGrpcio)("the Python program", async () => {
  const cwd = join(EXAMPLES, "python");
  await run(python, ["generate.py"], { cwd });
  const env = { ...process.env, PRISM_ADDRESS: gateway.address };
  expect(await run(python, ["main.py"], { cwd, env })).toEqual({ stdout: PRINTED, stderr: "" });
  const nowhere = run(python, ["main.py"], { cwd, env: { ...env, PRISM_ADDRESS: "127.0.0.1:1" } });
  await expect(nowhere).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^the gateway at 127\.0\.0\.1:1: UNAVAILABLE: /),
  });
});

const hasGo = isThere("Go", works("go", "version"), "Debian: apt-get install golang-go");

test.runIf(hasGo)(
  "the Go program",
  async () => {
    const cwd = join(EXAMPLES, "go");
    await run("go", ["generate"], { cwd });
    const env = { ...process.env, PRISM_ADDRESS: gateway.address };
    expect(await run("go", ["run", "."], { cwd, env })).toMatchObject({ stdout: PRINTED });
  },
  // Where Go has compiled nothing of it yet.
  600_000,
);

type Answer = Readonly<Record<string, unknown>>;

interface Service {
  readonly child: Child;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  post(path: string, body: object, headers?: Record<string, string>): Promise<Answer>;
}

/** Runs the service until the test ends. Answers are JSON with the status. */
async function startService(address: string, env: Record<string, string> = {}): Promise<Service> {
  const port = await freePort();
  const child = spawnChild("listening on", process.execPath, [join(EXAMPLES, "node-service/main.ts")], {
    env: { ...process.env, PRISM_ADDRESS: address, PORT: String(port), ...env },
  });
  onTestFinished(async () => {
    child.process.kill("SIGKILL");
    await child.exited;
  });
  await child.ready;
  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, init);
    const text = await answer.text();
    return { ...(text === "" ? {} : JSON.parse(text)), status: answer.status };
  };
  return {
    child,
    get: (path, headers = {}) => call(path, { headers }),
    post: (path, body, headers = {}) =>
      call(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
  };
}

interface Delivery {
  readonly id: string | undefined;
  readonly message: unknown;
  answer(status: number): void;
}

/** Receives messages until the test ends, and leaves the answers to it. */
async function startReceiver() {
  const deliveries: Delivery[] = [];
  const server = http.createServer(async (request, response) => {
    deliveries.push({
      id: request.headers["idempotency-key"]?.toString(),
      message: await json(request),
      answer: (status) => response.writeHead(status).end(),
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  let seen = 0;
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: async () => {
      const delivery = await waitFor(() => deliveries[seen] ?? Promise.reject(new Error("no delivery")));
      seen++;
      return delivery;
    },
  };
}
