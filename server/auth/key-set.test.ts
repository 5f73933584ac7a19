import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { JWK } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { temporaryFolder } from "../../tests/helpers/process.ts";
import { createSigningKey, startKeyServer } from "../../tests/helpers/tokens.ts";
import { KeySet } from "./key-set.ts";
import type { IssuerSettings } from "./settings.ts";

const header = (kid: string) => ({ alg: "ES256", kid });
let first: JWK;
let second: JWK;

beforeEach(async () => {
  [first, second] = (await Promise.all([createSigningKey("first"), createSigningKey("second")]).then((keys) =>
    keys.map(({ jwk }) => jwk),
  )) as [JWK, JWK];
});

/** A key set whose clock only a test moves. */
function setUp(source: IssuerSettings["keys"]) {
  let nowMs = 0;
  const listener = { onChanged: vi.fn(), onFailing: vi.fn() };
  const keys = new KeySet(source, listener, () => nowMs);
  return {
    keys,
    ...listener,
    pass(ms: number) {
      nowMs += ms;
    },
    [Symbol.dispose]: () => keys.close(),
  };
}

describe("keys at a URL", () => {
  test("an unknown key is asked for, at most once in ten seconds", async () => {
    await using server = await startKeyServer([first]);
    using set = setUp({ url: server.url });
    await set.keys.start();
    expect(await set.keys.find(header("first"))).toMatchObject({ type: "public" });
    server.keys = [first, second];
    expect(await set.keys.find(header("second"))).toBeUndefined();
    expect(server.asked).toBe(1);
    set.pass(10_000);
    // All of them wait for one answer.
    const found = await Promise.all([1, 2, 3].map(() => set.keys.find(header("second"))));
    expect(found).toMatchObject([{ type: "public" }, { type: "public" }, { type: "public" }]);
    expect(server.asked).toBe(2);
    expect(set.onChanged).toHaveBeenCalledTimes(2);
  });

  test("while it cannot be reached the known keys stay, and unknown ones are asked for as seldom", async () => {
    await using server = await startKeyServer([first]);
    using set = setUp({ url: server.url });
    await set.keys.start();
    server.instead = { status: 500, body: "" };
    for (let i = 1; i <= 3; i++) {
      set.pass(10_000);
      expect(await set.keys.find(header("second"))).toBeUndefined();
      expect(await set.keys.find(header("made-up"))).toBeUndefined();
      expect(await set.keys.find(header("first"))).toBeDefined();
      expect(server.asked).toBe(1 + i);
    }
    expect(set.onFailing.mock.calls).toEqual([["HTTP status 500"]]);
    server.instead = undefined;
    set.pass(10_000);
    await set.keys.find(header("second"));
    expect(set.onFailing.mock.calls).toEqual([["HTTP status 500"], [undefined]]);
    expect(set.onChanged).toHaveBeenCalledTimes(1);
  });

  test("a key that is withdrawn is gone with the next reading", async () => {
    await using server = await startKeyServer([first, second]);
    using set = setUp({ url: server.url });
    await set.keys.start();
    server.keys = [second];
    set.pass(10_000);
    await set.keys.find(header("made-up"));
    expect(await set.keys.find(header("first"))).toBeUndefined();
    expect(set.onChanged).toHaveBeenCalledTimes(2);
  });

  test.each<[string, { status: number; body: string }, string]>([
    ["no JSON", { status: 200, body: "<html>" }, "holds no JSON"],
    ["too much", { status: 200, body: " ".repeat(300_000) }, "larger than 262144 bytes"],
    ["no key set", { status: 200, body: "{}" }, 'holds no JWK Set: {"keys": [...]}'],
  ])("%s is no key set", async (_, instead, error) => {
    await using server = await startKeyServer([first]);
    server.instead = instead;
    using set = setUp({ url: server.url });
    await set.keys.start();
    expect(set.onFailing.mock.calls).toEqual([[error]]);
    expect(await set.keys.find(header("first"))).toBeUndefined();
  });

  test("nobody there", async () => {
    const server = await startKeyServer([first]);
    await server[Symbol.asyncDispose]();
    using set = setUp({ url: server.url });
    await set.keys.start();
    expect(set.onFailing).toHaveBeenCalledWith(expect.stringContaining("ECONNREFUSED"));
  });

  test("a redirection is not followed: anybody's keys could be there", async () => {
    await using elsewhere = await startKeyServer([first]);
    const { createServer } = await import("node:http");
    const server = createServer((_request, response) =>
      response.writeHead(302, { location: elsewhere.url }).end(),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as import("node:net").AddressInfo;
    using set = setUp({ url: `http://127.0.0.1:${port}` });
    await set.keys.start();
    expect(set.onFailing).toHaveBeenCalledTimes(1);
    expect(elsewhere.asked).toBe(0);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("in the background", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("keys are read again, until the set is closed", async () => {
    await using server = await startKeyServer([first]);
    const set = setUp({ url: server.url });
    await set.keys.start();
    server.keys = [second];
    vi.advanceTimersByTime(50_000);
    await vi.waitFor(() => expect(set.onChanged).toHaveBeenCalledTimes(2), { timeout: 10_000 });
    set.keys.close();
    vi.advanceTimersByTime(200_000);
    expect(server.asked).toBe(2);
  });
});

test("keys in a file, which may change", async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "keys.json");
  await writeFile(file, JSON.stringify({ keys: [first] }));
  using set = setUp({ file });
  await set.keys.start();
  await writeFile(file, JSON.stringify({ keys: [second] }));
  set.pass(10_000);
  expect(await set.keys.find(header("second"))).toBeDefined();
  expect(await set.keys.find(header("first"))).toBeUndefined();
});

test("a key of another kind, or one of several without a name, is not known", async () => {
  await using server = await startKeyServer([first, second, { ...first, kid: "third", crv: "P-384" }]);
  using set = setUp({ url: server.url });
  await set.keys.start();
  expect(await set.keys.find({ alg: "RS256", kid: "first" })).toBeUndefined();
  expect(await set.keys.find({ alg: "ES256", kid: "third" })).toBeUndefined();
  expect(await set.keys.find({ alg: "ES256" })).toBeUndefined();
  expect(await set.keys.find({ alg: "HS256", kid: "first" })).toBeUndefined();
});
