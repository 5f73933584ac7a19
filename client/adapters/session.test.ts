import type { AddressInfo } from "node:net";
import cookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import express from "express";
import session from "express-session";
import fastify from "fastify";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { any } from "../../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../../tests/helpers/server.ts";
import { PrismClient } from "../node.ts";
import { createSessionStore, type Session, type SessionCallback } from "./session.ts";

declare module "express-session" {
  interface SessionData {
    visits?: number;
  }
}

declare module "fastify" {
  interface Session {
    visits?: number;
  }
}

const secret = "a secret of 32 characters at least";

let server: TestServer;
let client: PrismClient;

beforeAll(async () => {
  // Its time stands still, so that what is left of a time to live depends on the request alone.
  server = await startTestServer({ logLevel: "info", clock: { now: () => 0 } });
  client = new PrismClient(server.address);
});

afterEach(async () => {
  await client.keyvalue.deletePrefix("session:");
});

afterAll(async () => {
  await client.close();
  await server.stop();
});

/** What a call with a callback answers. */
function answerOf<T>(call: (callback: SessionCallback<T>) => void): Promise<T | null | undefined> {
  return new Promise((resolve, reject) => {
    call((error, result) => (error ? reject(error) : resolve(result)));
  });
}

/** The milliseconds for which the only session is kept: not more than it says. */
async function onlyTtl(): Promise<number> {
  const [key = "", ...more] = await Array.fromAsync(client.keyvalue.scanKeys("session:"));
  expect(more).toEqual([]);
  return (await client.keyvalue.ttl(key)) ?? Infinity;
}

/** What is left of ten minutes: the cookie counts from the beginning of a request. */
const isMinutes = (ms: number) => ms > 60_000 && ms <= 600_000;

/** Express with express-session; answers the number of visits, and the cookie that it sets. */
function expressApp(
  options: Partial<session.SessionOptions> = {},
  own: Pick<PrismClient, "keyvalue"> = client,
) {
  const app = express();
  const store = createSessionStore(own, { Store: session.Store });
  app.use(session({ store, secret, resave: false, saveUninitialized: false, ...options }));
  app.get("/visit", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.json(request.session.visits);
  });
  app.get("/look", (request, response) => {
    response.json(request.session.visits ?? 0);
  });
  app.get("/login", (request, response, next) => {
    request.session.regenerate((error) => (error ? next(error) : response.json("new")));
  });
  app.get("/reload", (request, response, next) => {
    request.session.visits = 1000;
    request.session.reload((error) => (error ? next(error) : response.json(request.session.visits)));
  });
  app.get("/logout", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json("bye")));
  });
  app.use(((error, _request, response, _next) => {
    response.status(500).json(error.reason);
  }) satisfies express.ErrorRequestHandler);
  const listener = app.listen(0, "127.0.0.1");
  return {
    async get(path: string, cookies = "") {
      if (!listener.listening) {
        await new Promise((resolve) => listener.once("listening", resolve));
      }
      const { port } = listener.address() as AddressInfo;
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { cookie: cookies } });
      const [set] = answer.headers.getSetCookie();
      return { body: await answer.json(), cookies: set?.split(";")[0] ?? cookies };
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => listener.close(() => resolve())),
  };
}

test("a session of Express goes on, is renewed, is made anew, and ends", async () => {
  await using app = expressApp({ cookie: { maxAge: 600_000 } });
  const first = await app.get("/visit");
  expect(first.body).toBe(1);
  expect(await onlyTtl()).toSatisfy(isMinutes);
  expect((await app.get("/visit", first.cookies)).body).toBe(2);

  const [key = ""] = await Array.fromAsync(client.keyvalue.scanKeys("session:"));
  await client.keyvalue.expire(key, 1);
  expect((await app.get("/look", first.cookies)).body).toBe(2);
  expect(await onlyTtl()).toSatisfy(isMinutes);
  expect((await app.get("/reload", first.cookies)).body).toBe(2);

  expect((await app.get("/login", first.cookies)).body).toBe("new");
  expect(await client.keyvalue.exists(key)).toBe(false);
  expect((await app.get("/look", first.cookies)).body).toBe(0);
  const second = await app.get("/visit");
  const count = await client.keyvalue.count("session:");
  expect((await app.get("/logout", second.cookies)).body).toBe("bye");
  expect(await client.keyvalue.count("session:")).toBe(count - 1);
});

test("a session whose cookie has no end is kept for a day, or as long as is said", async () => {
  await using app = expressApp();
  await app.get("/visit");
  expect(await onlyTtl()).toBe(86_400_000);
  const store = createSessionStore(client, { prefix: "session:own:", ttlSeconds: 5 });
  await answerOf((callback) => store.set("id", { cookie: { expires: null } }, callback));
  expect(await client.keyvalue.ttl("session:own:id")).toBe(5000);
});

test("Express is told why a session cannot be had", async () => {
  await using app = expressApp();
  const { cookies } = await app.get("/visit");
  await using lost = expressApp({}, client.namespace("nowhere"));
  expect((await lost.get("/visit", cookies)).body).toBe("namespace_not_found");
});

test("a session of Fastify goes on and ends", async () => {
  await using app = fastify();
  await app.register(cookie);
  await app.register(fastifySession, {
    store: createSessionStore(client),
    secret,
    cookie: { secure: false, maxAge: 600_000 },
  });
  app.get("/visit", (request) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    return request.session.visits;
  });
  app.get("/logout", async (request) => {
    await request.session.destroy();
    return "bye";
  });
  const first = await app.inject("/visit");
  expect(first.json()).toBe(1);
  expect(await onlyTtl()).toSatisfy(isMinutes);
  const cookies = Object.fromEntries(first.cookies.map(({ name, value }) => [name, value]));
  expect((await app.inject({ url: "/visit", cookies })).json()).toBe(2);
  expect((await app.inject({ url: "/logout", cookies })).body).toBe("bye");
  expect(await client.keyvalue.count("session:")).toBe(0);
  expect((await app.inject({ url: "/visit", cookies })).json()).toBe(1);
});

test("the store counts, lists, ends and clears sessions, and touches none that is gone", async () => {
  const store = createSessionStore(client);
  const soon = new Date(Date.now() + 3_600_000);
  const ended = new Date(Date.now() - 1);
  const kept: Session = { cookie: { expires: soon } };
  for (const id of ["a", "b", "c"]) {
    await answerOf((callback) => store.set(id, kept, callback));
  }
  await answerOf((callback) => store.set("a", { cookie: { expires: ended } }, callback));
  await answerOf((callback) => store.touch("b", { cookie: { expires: ended.toISOString() } }, callback));
  await answerOf((callback) => store.touch("absent", kept, callback));
  expect(await answerOf((callback) => store.all(callback))).toEqual({
    c: { cookie: { expires: soon.toISOString() } },
  });
  expect(await answerOf((callback) => store.length(callback))).toBe(1);
  expect(await answerOf((callback) => store.get("a", callback))).toBeUndefined();
  await answerOf((callback) => store.clear(callback));
  expect(await answerOf((callback) => store.length(callback))).toBe(0);
});

test("a failure is told to the callback, and to nobody without one", async () => {
  const store = createSessionStore(client.namespace("nowhere"));
  const { promise: told, resolve: tell } = Promise.withResolvers<unknown>();
  store.destroy("id");
  store.destroy("id", tell);
  expect(await told).toMatchObject({ reason: "namespace_not_found" });

  await client.keyvalue.set("session:broken", "no JSON");
  await expect(answerOf((done) => createSessionStore(client).get("broken", done))).rejects.toMatchObject({
    reason: "corrupt_data",
  });
  await expect(
    answerOf((done) => store.set("id", { cookie: { expires: "never" } }, done)),
  ).rejects.toMatchObject({ reason: "invalid_field" });
});

test.each([
  [{ prefix: "" }, /^prefix must not be empty/],
  [{ ttlSeconds: 0 }, /^ttlSeconds must be 1 or more/],
  [{ ttlSeconds: "5" }, /^ttlSeconds must be a whole number/],
  [{ Store: {} }, /^Store must be that of express-session/],
  [{ ttl: 5 }, /^there is no option ttl/],
])("refuses the options %j", (options, message) => {
  expect(() => createSessionStore(client, any(options))).toThrow(message);
});
