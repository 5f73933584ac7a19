import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { startPlane } from "../tests/helpers/plane.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { startTestServer } from "../tests/helpers/server.ts";
import { authSettings } from "../tests/helpers/tokens.ts";
import { addConsoleRoutes } from "./console-route.ts";

const PAGE = "<!doctype html><title>Prism</title>";
const CODE = "document.title;".repeat(50);

/** What the build makes, and what it does not. */
const FILES: Readonly<Record<string, string>> = {
  "console/index.html": PAGE,
  "console/assets/index-B3x.js": CODE,
  "console/assets/index-B3x.css": "body{}",
  "console/assets/icon-1a.svg": "<svg/>",
  "console/assets/font-1.woff2": "font",
  "console/notes.md": "no type of a page",
  "secret.js": "beside the folder",
};

/** A port with the console of a folder. */
async function start() {
  const folder = await temporaryFolder();
  onTestFinished(() => folder[Symbol.asyncDispose]());
  await mkdir(join(folder.path, "console/assets"), { recursive: true });
  for (const [name, text] of Object.entries(FILES)) {
    await writeFile(join(folder.path, name), text);
  }
  await writeFile(join(folder.path, "console/index.html.gz"), gzipSync(PAGE));
  await writeFile(join(folder.path, "console/assets/index-B3x.js.gz"), gzipSync(CODE));
  await symlink(join(folder.path, "secret.js"), join(folder.path, "console/assets/link-1.js"));
  const server = await startPlane({
    services: () => [],
    addRoutes: (app) => addConsoleRoutes(app, () => join(folder.path, "console")),
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { ...server, folder: join(folder.path, "console") };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Asks for a path as it stands: `fetch` would take dots out of it and unzip the answer. */
function ask(
  baseUrl: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = "GET",
): Promise<Answer> {
  const { hostname, port } = new URL(baseUrl);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, method, headers }, async (response) =>
      resolve({
        status: response.statusCode,
        headers: response.headers,
        body: await buffer(response),
      }),
    )
      .on("error", reject)
      .end();
  });
}

const GZIP = { "accept-encoding": "gzip, deflate, br" };

describe("a console that is built", () => {
  test.each([
    ["/", "text/html; charset=utf-8", PAGE, "no-cache"],
    ["/console/index.html", "text/html; charset=utf-8", PAGE, "no-cache"],
    [
      "/console/assets/index-B3x.js",
      "text/javascript; charset=utf-8",
      CODE,
      "public, max-age=31536000, immutable",
    ],
    [
      "/console/assets/index-B3x.css",
      "text/css; charset=utf-8",
      "body{}",
      "public, max-age=31536000, immutable",
    ],
    ["/console/assets/icon-1a.svg", "image/svg+xml", "<svg/>", "public, max-age=31536000, immutable"],
    ["/console/assets/font-1.woff2", "font/woff2", "font", "public, max-age=31536000, immutable"],
  ])("%s has its type, and how long it may be kept", async (path, type, text, cacheControl) => {
    const { baseUrl } = await start();
    const { status, headers, body } = await ask(baseUrl, path);
    expect(status).toBe(200);
    expect(body.toString()).toBe(text);
    expect(headers).toMatchObject({
      "content-type": type,
      "cache-control": cacheControl,
      "content-length": String(Buffer.byteLength(text)),
      vary: "accept-encoding",
    });
    expect(headers).not.toHaveProperty("content-encoding");
    const head = await ask(baseUrl, path, {}, "HEAD");
    expect(head.status).toBe(200);
    expect(head.body).toHaveLength(0);
    expect(head.headers["content-length"]).toBe(headers["content-length"]);
  });

  test("may load its own files and call its own origin, and nothing else", async () => {
    const { baseUrl } = await start();
    for (const path of ["/", "/console/assets/index-B3x.js"]) {
      const { headers } = await ask(baseUrl, path);
      expect(headers).toMatchObject({
        "content-security-policy":
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
      });
      expect(headers["permissions-policy"]).toContain("camera=()");
    }
  });

  test("comes as the build compressed it, to who takes that", async () => {
    const { baseUrl } = await start();
    const zipped = await ask(baseUrl, "/console/assets/index-B3x.js", GZIP);
    expect(zipped.headers).toMatchObject({ "content-encoding": "gzip", vary: "accept-encoding" });
    expect(zipped.headers["content-length"]).toBe(String(zipped.body.length));
    expect(gunzipSync(zipped.body).toString()).toBe(CODE);
    // Not made by the build.
    expect((await ask(baseUrl, "/console/assets/index-B3x.css", GZIP)).headers).not.toHaveProperty(
      "content-encoding",
    );
    for (const [accepted, isZipped] of [
      ["gzip;q=0", false],
      ["gzip; q=0.000", false],
      ["br", false],
      ["br, gzip;q=0.5", true],
      ["*", true],
    ] as const) {
      const { headers } = await ask(baseUrl, "/", { "accept-encoding": accepted });
      expect([accepted, headers["content-encoding"] === "gzip"]).toEqual([accepted, isZipped]);
    }
  });

  test("is not sent again to who has it", async () => {
    const { baseUrl } = await start();
    const plain = String((await ask(baseUrl, "/")).headers.etag);
    const zipped = String((await ask(baseUrl, "/", GZIP)).headers.etag);
    expect(plain).not.toBe(zipped);
    const again = await ask(baseUrl, "/", { ...GZIP, "if-none-match": `"other", W/${zipped}` });
    expect(again.status).toBe(304);
    expect(again.body).toHaveLength(0);
    expect(again.headers).toMatchObject({ etag: zipped, "cache-control": "no-cache" });
    expect((await ask(baseUrl, "/", { ...GZIP, "if-none-match": plain })).status).toBe(200);
  });

  test.each([
    "/console/../secret.js",
    "/console/assets/../../secret.js",
    "/console/..%2fsecret.js",
    "/console/%2e%2e/secret.js",
    "/console//secret.js",
    "/console/assets/link-1.js",
    "/console/assets",
    "/console/assets/",
    "/console/assets/index-B3x.js.gz",
    "/console/assets/index-B3x.js%00",
    "/console/notes.md",
    "/console/absent.js",
    "/index.html",
  ])("%s is not in it", async (path) => {
    const { baseUrl } = await start();
    const { status, body } = await ask(baseUrl, path);
    expect(status).toBe(404);
    expect(JSON.parse(body.toString())).toMatchObject({ code: "unimplemented" });
  });

  test("/console leads to it; nothing can be sent to it", async () => {
    const { baseUrl } = await start();
    for (const path of ["/console", "/console/"]) {
      expect(await ask(baseUrl, path)).toMatchObject({ status: 302, headers: { location: "/" } });
    }
    expect(await ask(baseUrl, "/", {}, "POST")).toMatchObject({ status: 404 });
  });

  test("is read once", async () => {
    const { baseUrl, folder } = await start();
    await ask(baseUrl, "/");
    await rm(folder, { recursive: true });
    expect(await ask(baseUrl, "/console/assets/index-B3x.js")).toMatchObject({ status: 200 });
  });
});

test("a console that is not built says how to build it, and is there when it is", async () => {
  await using folder = await temporaryFolder();
  let built: string | undefined;
  await using server = await startPlane({
    services: () => [],
    addRoutes: (app) => addConsoleRoutes(app, () => built),
  });
  const before = await ask(server.baseUrl, "/");
  expect(before).toMatchObject({ status: 404, headers: { "content-type": "text/plain; charset=utf-8" } });
  expect(before.body.toString()).toContain("make console");
  expect(await ask(server.baseUrl, "/console/index.html")).toMatchObject({ status: 404 });
  await writeFile(join(folder.path, "index.html"), PAGE);
  built = folder.path;
  expect((await ask(server.baseUrl, "/")).body.toString()).toBe(PAGE);
});

describe("the admin port", () => {
  test("has the page for everybody, but only under its own names", async () => {
    await using server = await startTestServer({
      adjust: (config) => ({
        ...config,
        auth: authSettings({ apiKeys: [], roles: [] }),
        admin: { ...config.admin, hosts: undefined },
      }),
    });
    const text = (await ask(server.adminUrl, "/")).body.toString();
    expect(text).toMatch(/make console|<title>/);
    for (const path of ["/", "/console/index.html"]) {
      expect(await ask(server.adminUrl, path, { host: "evil.example" })).toMatchObject({ status: 403 });
    }
    // The calls are not for everybody.
    const call = await fetch(`${server.adminUrl}/prism.admin.v1.AdminService/GetTraffic`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(call.status).toBe(401);
  });

  test("does without it where it is turned off", async () => {
    await using server = await startTestServer({
      adjust: (config) => ({ ...config, admin: { ...config.admin, console: false } }),
    });
    for (const path of ["/", "/console", "/console/index.html"]) {
      expect(await ask(server.adminUrl, path)).toMatchObject({ status: 404 });
    }
    expect(await ask(server.adminUrl, "/livez")).toMatchObject({ status: 200 });
  });
});
