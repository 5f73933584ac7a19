/**
 * The browsers' client in a real browser: over TLS, so over HTTP/2, from a page of another origin.
 */
import { readFile, stat, writeFile } from "node:fs/promises";
import http2 from "node:http2";
import { stripTypeScriptTypes } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { CERT, KEY } from "../helpers/certificate.ts";
import { canStartChromium, startChromium } from "../helpers/chromium.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** How a browser finds packages without a bundler. */
const IMPORT_MAP = {
  imports: Object.fromEntries(
    ["@bufbuild/protobuf", "@connectrpc/connect"].flatMap((name) => [
      [name, `/node_modules/${name}/dist/esm/index.js`],
      [`${name}/`, `/node_modules/${name}/dist/esm/`],
    ]),
  ),
};

const page = (gateway: string) => `<!doctype html>
<script type="importmap">${JSON.stringify(IMPORT_MAP)}</script>
<script type="module">
  import { KeyNotFoundError, PrismClient } from "/client/web.ts";
  const text = (bytes) => new TextDecoder().decode(bytes);
  const told = {};
  try {
    const client = new PrismClient("${gateway}");
    await client.keyvalue.set("user:1", "alice");
    await client.keyvalue.set("user:2", "bob");
    told.got = text(await client.keyvalue.get("user:1"));
    told.scanned = [];
    for await (const [key, value] of client.keyvalue.scan("user:")) told.scanned.push([key, text(value)]);
    told.missing = await client.keyvalue.get("nobody").catch((error) => error instanceof KeyNotFoundError);
    await client.list.pushRight("queue", "job-1");
    told.popped = text(await client.list.popLeft("queue"));
    told.empty = await client.list.popLeft("queue") === undefined;
    const large = "x".repeat(100_000);
    await client.keyvalue.set("large", large);
    told.large = text(await client.keyvalue.get("large")) === large;
    told.together = (await Promise.all(Array.from({ length: 50 }, (_, i) => client.keyvalue.exists("user:" + i))))
      .filter(Boolean).length;
  } catch (error) {
    told.error = String(error);
  }
  await fetch("/told", { method: "POST", body: JSON.stringify(told) });
</script>`;

/**
 * Serves the page and its imports from the checkout, with TypeScript turned into JavaScript.
 * Receives the page's messages.
 */
async function startPageServer(gateway: string) {
  const server = http2.createSecureServer({ cert: CERT, key: KEY });
  const { promise: told, resolve: hear } = Promise.withResolvers<unknown>();
  const serve = async (path: string) => {
    if (path === "/") {
      return { type: "text/html", body: page(gateway) };
    }
    const file = join(ROOT, path);
    if ((await stat(file)).isDirectory()) {
      return { location: `${path}/index.js` };
    }
    const source = await readFile(file, "utf8");
    return { type: "text/javascript", body: path.endsWith(".ts") ? stripTypeScriptTypes(source) : source };
  };
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    if (headers[":path"] === "/told") {
      hear(json(stream).finally(() => stream.respond({ ":status": 204 }, { endStream: true })));
      return;
    }
    serve(String(headers[":path"])).then(
      ({ location, type, body }: { location?: string; type?: string; body?: string }) => {
        if (location === undefined) {
          stream.respond({ ":status": 200, "content-type": type });
        } else {
          stream.respond({ ":status": 302, location });
        }
        stream.end(body);
      },
      () => {
        stream.respond({ ":status": 404 });
        stream.end();
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}/`, told, close: () => server.close() };
}

describe("Chromium", () => {
  let server: TestServer;
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const tls = {
      certFile: join(folder.path, "cert"),
      keyFile: join(folder.path, "key"),
      clientCaFile: undefined,
    };
    await writeFile(tls.certFile, CERT);
    await writeFile(tls.keyFile, KEY);
    server = await startTestServer({
      adjust: (config) => ({ ...config, server: { ...config.server, tls, corsOrigins: "*" } }),
    });
  });

  afterAll(async () => {
    await server.stop();
    await folder[Symbol.asyncDispose]();
  });

  test.runIf(canStartChromium())("the web client's calls, over HTTP/2", { timeout: 60_000 }, async () => {
    const pages = await startPageServer(server.baseUrl);
    const netLog = join(folder.path, "net.json");
    onTestFinished(() => {
      pages.close();
    });
    await using browser = await startChromium(join(folder.path, "profile"), [
      "--ignore-certificate-errors",
      `--log-net-log=${netLog}`,
      pages.url,
    ]);
    expect(await Promise.race([pages.told, browser.exited.then(() => "the browser ended")])).toEqual({
      got: "alice",
      scanned: [
        ["user:1", "alice"],
        ["user:2", "bob"],
      ],
      missing: true,
      popped: "job-1",
      empty: true,
      large: true,
      together: 2,
    });
    await browser.close();
    expect(await http2Hosts(netLog)).toContain(new URL(server.baseUrl).host);
  });
});

/** The hosts with which the browser used HTTP/2, by its own log. */
async function http2Hosts(netLog: string): Promise<string[]> {
  const { constants, events } = JSON.parse(await readFile(netLog, "utf8")) as {
    constants: { logEventTypes: Record<string, number> };
    events: { type: number; params?: { host?: string } }[];
  };
  return events
    .filter(({ type }) => type === constants.logEventTypes.HTTP2_SESSION)
    .flatMap(({ params }) => params?.host ?? []);
}
