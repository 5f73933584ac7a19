import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { any } from "../tests/helpers/clients.ts";
import { startTestServer } from "../tests/helpers/server.ts";
import { authSettings, createKey, role } from "../tests/helpers/tokens.ts";
import { type AccessToken, TokenSource } from "./credentials.ts";
import { PrismClient } from "./node.ts";
import { PrismClient as WebClient } from "./web.ts";

const member = createKey("member", ["all"]);
const TOKEN = member.bearer.replace("Bearer ", "");

/** A server that lets one API key in. */
const startGuarded = () =>
  startTestServer({
    adjust: (config) => ({
      ...config,
      auth: authSettings({
        apiKeys: [member.settings],
        roles: [
          role("all", {
            grants: [{ namespaces: "*", permissions: ["read", "write"], keyPrefix: "", methods: undefined }],
          }),
        ],
      }),
    }),
  });

describe.each([
  { kind: "node", create: PrismClient },
  { kind: "web", create: WebClient },
])("a $kind client", ({ create: Client }) => {
  test("sends its API key, in streams too, besides its headers", async () => {
    await using server = await startGuarded();
    await using client = new Client(server.baseUrl, { credentials: TOKEN, headers: { "x-a": "b" } });
    await client.keyvalue.set("key", "value");
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["key"]);
    await using stranger = new Client(server.baseUrl);
    await expect(stranger.keyvalue.find("key")).rejects.toMatchObject({ reason: "credentials_missing" });
  });

  test("gets another token when one is refused, once, for all its calls", async () => {
    await using server = await startGuarded();
    const tokens = ["old", TOKEN];
    await using client = new Client(server.baseUrl, { credentials: async () => tokens.shift() ?? "none" });
    const calls = Array.from({ length: 5 }, () => client.keyvalue.exists("key"));
    expect(await Promise.all(calls)).toEqual([false, false, false, false, false]);
    expect(tokens).toEqual([]);
    expect(await client.namespace("default").keyvalue.exists("key")).toBe(false);

    let asked = 0;
    await using revoked = new Client(server.baseUrl, { credentials: () => `revoked-${++asked}` });
    await expect(Array.fromAsync(revoked.keyvalue.scanKeys())).rejects.toMatchObject({
      reason: "credentials_invalid",
    });
    expect(asked).toBe(2);
  });

  test.each([
    ["fails", () => Promise.reject(new Error("login is down")), /provider failed: login is down/],
    ["gives nothing", any(() => undefined), /gave an object that is no|gave undefined that is no/],
    ["gives no token", () => ({ token: any(5) }), /gave an object that is no \{ token/],
    ["gives what no header can carry", () => "a\nb", /visible ASCII/],
  ])("says so where the provider %s", async (_what, credentials, message) => {
    await using client = new Client("http://127.0.0.1:1", { credentials });
    await expect(client.keyvalue.get("key")).rejects.toMatchObject({
      name: "PrismError",
      retryable: false,
      message: expect.stringMatching(message),
    });
  });

  test("does not wait for its provider beyond the call's time, or its end", async () => {
    const client = new Client("http://127.0.0.1:1", { credentials: () => new Promise(() => {}) });
    await expect(client.keyvalue.get("key", { timeoutMs: 5 })).rejects.toMatchObject({
      reason: "deadline_exceeded",
    });
    const waiting = client.keyvalue.get("key");
    await client.close();
    await expect(waiting).rejects.toMatchObject({ reason: "canceled" });
  });

  test.each([5, null, "", "two words", "ü"])("takes no %j for credentials", (credentials) => {
    expect(() => new Client("http://127.0.0.1:1", { credentials: any(credentials) })).toThrow(
      /^credentials /,
    );
  });

  test("takes credentials once", () => {
    const options = { credentials: TOKEN, headers: { Authorization: "Basic x" } };
    expect(() => new Client("http://127.0.0.1:1", options)).toThrow(/cannot be given with a header/);
  });
});

describe("a token that expires", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  const sent = async (source: TokenSource) => (await source.headers()).get("authorization");

  test("is renewed before its end, while calls go on with it", async () => {
    const next: AccessToken[] = [
      { token: "a", expiresAtMs: 1_100_000 },
      { token: "b", expiresAtMs: 9_000_000 },
    ];
    const source = new TokenSource(() => next.shift() ?? Promise.reject(new Error("no more")), undefined);
    expect(await sent(source)).toBe("Bearer a");
    // A fifth of 100 seconds before its end.
    vi.setSystemTime(1_079_999);
    expect(await sent(source)).toBe("Bearer a");
    expect(next).toHaveLength(1);
    vi.setSystemTime(1_080_000);
    expect(source.headers()).toBeInstanceOf(Headers);
    expect(next).toHaveLength(0);
    await vi.waitFor(async () => expect(await sent(source)).toBe("Bearer b"));
  });

  test("is used to its end where it cannot be renewed, and asked for once a second", async () => {
    let asked = 0;
    const source = new TokenSource(() => {
      if (++asked > 1) {
        throw new Error("login is down");
      }
      return { token: "a", expiresAtMs: 1_100_000 };
    }, undefined);
    expect(await sent(source)).toBe("Bearer a");
    vi.setSystemTime(1_090_000);
    for (let i = 0; i < 5; i++) {
      expect(await sent(source)).toBe("Bearer a");
    }
    expect(asked).toBe(2);
    vi.setSystemTime(1_091_000);
    expect(await sent(source)).toBe("Bearer a");
    expect(asked).toBe(3);
    vi.setSystemTime(1_100_000);
    await expect(sent(source)).rejects.toMatchObject({ reason: "credentials_missing" });
  });
});

test("a client of the environment has its address, namespace and token", async () => {
  await using server = await startGuarded();
  vi.stubEnv("PRISM_ADDRESS", server.address).stubEnv("PRISM_TOKEN", TOKEN).stubEnv("PRISM_NAMESPACE", "");
  try {
    await using client = PrismClient.fromEnv();
    expect(await client.keyvalue.exists("key")).toBe(false);
    vi.stubEnv("PRISM_NAMESPACE", "nowhere");
    await using lost = PrismClient.fromEnv();
    await expect(lost.keyvalue.exists("key")).rejects.toMatchObject({ reason: "namespace_not_found" });
    await using named = PrismClient.fromEnv({ namespace: "default" });
    expect(await named.keyvalue.exists("key")).toBe(false);
    vi.stubEnv("PRISM_ADDRESS", "a b");
    expect(() => PrismClient.fromEnv()).toThrow(/not an address: "a b"/);
  } finally {
    vi.unstubAllEnvs();
  }
});
