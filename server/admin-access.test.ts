import { type FastifyInstance, fastify } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authSettings, createKey, role } from "../tests/helpers/tokens.ts";
import { guardAdminRoutes } from "./admin-access.ts";
import { CredentialAuthenticator } from "./auth/authenticator.ts";
import { createFailureLog } from "./calls/failure-log.ts";

const log = pino({ level: "silent" });
const failures = createFailureLog(log);
const KEYS = {
  nobody: createKey("nobody"),
  viewer: createKey("viewer", ["viewer"]),
  operator: createKey("operator", ["operator"]),
  admin: createKey("admin", ["admin"]),
};

const auth = new CredentialAuthenticator(
  authSettings({
    apiKeys: Object.values(KEYS).map(({ settings }) => settings),
    roles: (["viewer", "operator", "admin"] as const).map((name) => role(name, { adminRole: name })),
  }),
  log,
);

/** A server with routes of every kind; each answers whether its sender may look around. */
async function start(authenticator: CredentialAuthenticator | undefined): Promise<FastifyInstance> {
  const server = fastify();
  await server.register(async (app) => {
    const access = guardAdminRoutes(app, authenticator, failures);
    for (const url of ["/health", "/livez", "/readyz", "/metrics"]) {
      app.get(url, (request) => ({
        view: access.mayView(request),
        name: access.principalOf(request)?.name ?? "",
      }));
    }
    app.post("/namespaces", () => ({ done: true }));
    app.delete("/namespaces/:name", () => ({ done: true }));
  });
  server.get("/unguarded", () => ({ done: true }));
  await server.listen({ host: "127.0.0.1", port: 0 });
  return server;
}

describe("with auth", () => {
  let server: FastifyInstance;
  beforeAll(async () => {
    server = await start(auth);
  });
  afterAll(() => server.close());

  const ask = async (method: string, path: string, key?: { readonly bearer: string }) => {
    const response = await fetch(new URL(path, server.listeningOrigin), {
      method,
      headers: key === undefined ? {} : { authorization: key.bearer },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? {} : JSON.parse(text) };
  };

  test.each([
    ["GET", "/metrics", [403, 200, 200, 200]],
    ["HEAD", "/metrics", [403, 200, 200, 200]],
    ["POST", "/namespaces", [403, 403, 200, 200]],
    ["DELETE", "/namespaces/orders", [403, 403, 403, 200]],
  ])("%s %s", async (method, path, statuses) => {
    for (const [i, key] of [KEYS.nobody, KEYS.viewer, KEYS.operator, KEYS.admin].entries()) {
      expect((await ask(method, path, key)).status).toBe(statuses[i]);
    }
    for (const key of [undefined, { bearer: "Bearer wrong" }]) {
      const { status, headers } = await ask(method, path, key);
      expect([status, headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    }
  });

  test.each(["/health", "/livez", "/readyz"])(
    "%s answers everybody, and knows who may look",
    async (path) => {
      for (const key of [undefined, { bearer: "Bearer wrong" }]) {
        expect(await ask("GET", path, key)).toMatchObject({ status: 200, body: { view: false, name: "" } });
      }
      const asNobody = await ask("GET", path, KEYS.nobody);
      expect(asNobody).toMatchObject({ status: 200, body: { view: false, name: "nobody" } });
      const asViewer = await ask("GET", path, KEYS.viewer);
      expect(asViewer).toMatchObject({ status: 200, body: { view: true, name: "viewer" } });
    },
  );

  test("says why", async () => {
    expect((await ask("POST", "/namespaces", KEYS.viewer)).body).toEqual({
      code: "permission_denied",
      message: 'this needs the admin role "operator"',
    });
  });

  test("routes outside are not guarded", async () => {
    expect((await ask("GET", "/unguarded")).status).toBe(200);
  });
});

test("without auth everybody may do everything", async () => {
  await using server = Object.assign(await start(undefined), {
    async [Symbol.asyncDispose]() {
      await server.close();
    },
  });
  const response = await fetch(new URL("/metrics", server.listeningOrigin));
  expect(await response.json()).toEqual({ view: true, name: "" });
});
