import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { spawnChild } from "./helpers/child.ts";
import { freePort } from "./helpers/port.ts";
import { NODE_FLAGS, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { canStartRedis, startRedis } from "./helpers/redis.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What an application that has the client installs at most. */
const MAX_CLIENT_PACKAGES = 15;
const MAX_CLIENT_BYTES = 12_000_000;

/** What a page loads at most for the client with all its calls, after gzip. */
const MAX_PAGE_BYTES = 40_000;

/** What runs the client besides this Node: programs that the registry has as packages. */
const RUNTIMES = runtimes();

function runtimes() {
  const { platform, arch } = process;
  const bun = `@oven/bun-${platform}-${arch === "arm64" ? "aarch64" : arch}`;
  const deno = `@deno/${platform}-${arch}${platform === "linux" ? "-glibc" : ""}`;
  const node = `node-${platform}-${arch}`;
  return [
    // The oldest that the client supports.
    { name: "Node 22", packageName: node, version: "22", command: "bin/node", args: [] },
    { name: "Node 24", packageName: node, version: "24", command: "bin/node", args: [] },
    { name: "Bun", packageName: bun, version: "1.4.5", command: "bin/bun", args: ["run"] },
    {
      name: "Deno",
      packageName: deno,
      version: "2.9.6",
      command: "deno",
      args: ["run", "--allow-all", "--node-modules-dir=manual"],
    },
  ] as const;
}

/** A block of code of a language in a document: 0 = the first. */
async function snippetOf(file: string, language: string, index = 0): Promise<string> {
  const text = await readFile(join(ROOT, file), "utf8");
  const blocks = [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))];
  const snippet = blocks[index]?.[1];
  if (snippet === undefined) {
    throw new Error(`${file} has no block ${index} of ${language}`);
  }
  return snippet;
}

/** Puts packages and what they need into a new folder. */
async function install(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  await run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...packages], { cwd: folder });
}

/** The file name of the package that npm makes of a folder. */
async function pack(folder: string, destination: string): Promise<string> {
  const options = ["--ignore-scripts", "--json", "--pack-destination", destination];
  const { stdout } = await run("npm", ["pack", folder, ...options], { maxBuffer: 64 * 1024 * 1024 });
  const [{ filename }] = JSON.parse(stdout);
  return join(destination, filename);
}

/** All code that `source` in a page would load, in one file, and what that imports beyond. */
async function bundle(folder: string, source: string) {
  const input = join(folder, "page.mjs");
  await writeFile(input, source);
  const made = await rolldown({ input, cwd: folder, platform: "browser", logLevel: "silent" });
  const { output } = await made.generate({ format: "esm", minify: true, codeSplitting: false });
  await made.close();
  const [{ code, imports }] = output;
  return { bytes: gzipSync(code).length, imports };
}

describe("what `make build` makes", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let gateway: string;
  let client: string;
  /** An application with both packages. */
  let application: string;
  let packages: Readonly<Record<"prism-gateway" | "prism-client", string>>;
  let commands: ReadonlyMap<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder();
    // The Dockerfile's layout: package.json, node_modules and dist side by side.
    gateway = join(folder.path, "gateway");
    const dist = join(gateway, "dist");
    const distClient = join(folder.path, "dist-client");
    await mkdir(gateway);
    await run("make", ["build", `DIST=${dist}`, `DIST_CLIENT=${distClient}`], { cwd: ROOT });
    for (const name of ["package.json", "LICENSE", "README.md", "docs", "proto"]) {
      await cp(join(ROOT, name), join(gateway, name), { recursive: true });
    }
    await symlink(join(ROOT, "node_modules"), join(gateway, "node_modules"));

    packages = {
      "prism-gateway": await pack(gateway, folder.path),
      "prism-client": await pack(distClient, folder.path),
    };
    client = join(folder.path, "client");
    await install(client, [packages["prism-client"]]);
    application = join(folder.path, "application");
    await install(application, Object.values(packages));
    const installed: [string, string][] = [];
    for (const { name, packageName, version, command } of RUNTIMES) {
      const place = join(folder.path, name);
      await install(place, [`${packageName}@${version}`]);
      installed.push([name, join(place, "node_modules", packageName, command)]);
    }
    commands = new Map(installed);
  }, 1_800_000);

  afterAll(() => folder[Symbol.asyncDispose]());

  test("is a gateway that runs: built JavaScript, SQL files, the worker thread", async () => {
    const main = join(gateway, "dist/server/prism.cjs");
    const { stdout } = await run(process.execPath, [main, "--version"]);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(await readFile(main, "utf8")).toContain(NODE_FLAGS.join(" "));

    await using server = await spawnServer(["--data-dir", join(folder.path, "data")], main);
    const { PrismClient } = await import(join(client, "node_modules/prism-client/client/node.js"));
    const calls = new PrismClient(server.address);
    await calls.keyvalue.set("k", "v");
    expect(Buffer.from(await calls.keyvalue.get("k")).toString()).toBe("v");
    await calls.close();
    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
  }, 60_000);

  test.runIf(canStartRedis())("is a gateway whose workers run, with the document of its calls", async () => {
    await using redis = await startRedis();
    const config = join(folder.path, "workers.yaml");
    await writeFile(config, `database: {type: redis, url: "${redis.url}"}\nserver: {workers: 2}\n`);
    const main = join(gateway, "dist/server/prism.cjs");
    await using server = await spawnServer(["--config", config], main);
    expect(server.lines.filter((line) => line.includes("a worker takes calls"))).toHaveLength(2);
    expect((await fetch(`${server.adminUrl}/openapi.json`)).status).toBe(200);
    const page = await (await fetch(`${server.adminUrl}/`)).text();
    expect(page).toContain("<title>Prism</title>");
    const [, code = ""] = /<script [^>]*src="([^"]+)"/.exec(page) ?? [];
    const loaded = await fetch(`${server.adminUrl}${code}`);
    expect(loaded.headers.get("content-encoding")).toBe("gzip");
    expect(await loaded.text()).toContain("GetTraffic");
  });

  test("is a gateway that tells an old Node what it needs", async () => {
    const start = run(commands.get("Node 22") ?? "", [join(gateway, "dist/server/prism.cjs"), "serve"]);
    await expect(start).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^prism needs Node\.js 26 or newer; this is 22\.\S+\n$/),
    });
  }, 60_000);

  test("is a package of the gateway with its licence, documents and sources", async () => {
    const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: gateway,
    });
    const [{ files }] = JSON.parse(stdout);
    const paths: string[] = files.map(({ path }: { path: string }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(["LICENSE", "README.md", "docs/backends.md", "dist/server/prism.cjs"]),
    );
    expect(paths.filter((path) => /\.test\.|testing\.(?!md)|client\/web/.test(path))).toEqual([]);
    const map = JSON.parse(await readFile(join(gateway, "dist/server/main.js.map"), "utf8"));
    expect(map.sourcesContent).toEqual([await readFile(join(ROOT, "server/main.ts"), "utf8")]);
  });

  test.each(["prism-gateway", "prism-client"] as const)("%s: manifest and types are right", async (name) => {
    const tarball = new Uint8Array(await readFile(packages[name]));
    const { messages, pkg } = await publint({ pack: { tarball: tarball.buffer }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);

    const checked = await checkPackage(createPackageFromTarballData(tarball), {
      includeEntrypoints: name === "prism-client" ? ["gen/prism/common/errors_pb"] : [],
    });
    expect(checked.types).toEqual({ kind: "included" });
    // There are modules of ECMAScript only; TypeScript's node10 knows no `exports`.
    const problems = "problems" in checked ? checked.problems : [];
    const isOther = (kind: string) => kind !== "node10" && kind !== "node16-cjs";
    expect(problems.filter((each) => !("resolutionKind" in each) || isOther(each.resolutionKind))).toEqual(
      [],
    );
  });

  test("is a client of few packages", async () => {
    const installed = await readdir(join(client, "node_modules"), { recursive: true });
    const names = installed.filter((path) => /^(@[^/]+\/)?[^@/]+\/package\.json$/.test(path));
    expect(names).toContain("prism-client/package.json");
    expect(names.length).toBeLessThanOrEqual(MAX_CLIENT_PACKAGES);
    const sizes = await Promise.all(
      installed.map(async (path) => (await stat(join(client, "node_modules", path))).size),
    );
    expect(sizes.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(MAX_CLIENT_BYTES);
    const files = installed.filter((path) => path.startsWith("prism-client/"));
    expect(files).toEqual(expect.arrayContaining(["prism-client/LICENSE", "prism-client/README.md"]));
    expect(files.filter((path) => /\.test\.|testing|manifest|console|shrink|\/server\//.test(path))).toEqual(
      [],
    );
  });

  test("is a client that a page loads fast, and without what it does not use", async () => {
    const all = await bundle(client, 'export * from "prism-client/web";');
    expect(all.imports).toEqual([]);
    expect(all.bytes).toBeLessThanOrEqual(MAX_PAGE_BYTES);
    const codec = await bundle(client, 'export { json } from "prism-client/web";');
    expect(codec.bytes).toBeLessThan(all.bytes / 2);
    // Else the bound above would say nothing of Node's modules.
    expect((await bundle(client, 'export * from "prism-client";')).imports).toContain("node:net");
  });

  test.each([{ name: "this Node", args: [] }, ...RUNTIMES])(
    "is a client with which README's lines run, on $name",
    async ({ name, args }) => {
      await using server = await spawnServer(["--memory"]);
      const file = join(client, "snippet.mjs");
      await writeFile(file, (await snippetOf("README.md", "ts")).replace("localhost:8980", server.address));
      const web = join(client, "web.mjs");
      const lines = [
        'import { PrismClient } from "prism-client/web";',
        `const client = new PrismClient("http://${server.address}");`,
        'for await (const key of client.keyvalue.scanKeys("user:")) { console.log(key); }',
      ];
      await writeFile(web, lines.join("\n"));
      const command = commands.get(name) ?? process.execPath;
      const node = await run(command, [...args, file], { cwd: client });
      expect([node.stdout, node.stderr]).toEqual(["user:1 alice\n", ""]);
      const browser = await run(command, [...args, web], { cwd: client });
      expect([browser.stdout, browser.stderr]).toEqual(["user:1\n", ""]);
    },
    60_000,
  );

  test("is a gateway that runs in an application's tests", async () => {
    const file = join(application, "application.test.mjs");
    await writeFile(file, await snippetOf("docs/testing.md", "ts"));
    const { stdout } = await run(process.execPath, ["--test", "--test-reporter=tap", file]);
    expect(stdout).toMatch(/^# pass 1$[\s\S]*^# fail 0$/m);

    const configured = join(application, "configured.mjs");
    await writeFile(configured, await snippetOf("docs/testing.md", "ts", 1));
    const shown = await run(process.execPath, [configured]);
    expect(shown.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/m);
    expect(shown.stderr).toBe("");
  });

  test.each([
    ["nodenext", "nodenext"],
    ["esnext", "bundler"],
  ])(
    "has types, with module %s and moduleResolution %s",
    async (module, resolution) => {
      const file = join(application, "types.ts");
      const lines = [
        await snippetOf("README.md", "ts"),
        'import { PrismClient as WebClient } from "prism-client/web";',
        'import { createKeyvStore } from "prism-client/keyv";',
        "createKeyvStore(new WebClient()).namespace = 'cache';",
        'import { KeyValueBasicInterface } from "prism-client/gen/prism/interfaces/keyvalue/keyvalue_basic_pb";',
        'import { startTestServer } from "prism-gateway/testing";',
        "new Response(await new WebClient().keyvalue.get(KeyValueBasicInterface.typeName));",
        "// @ts-expect-error It is no number.",
        "export const wrong: number = await client.keyvalue.get('key');",
        "await using server = await startTestServer({ config: { namespaces: [{ name: 'orders' }] } });",
        "new PrismClient(server.address) satisfies AsyncDisposable;",
      ];
      await writeFile(file, lines.join("\n"));
      const options = ["--strict", "--noEmit", "--target", "esnext", "--module", module];
      const types = ["--types", "node", "--typeRoots", join(ROOT, "node_modules/@types")];
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const checked = run(
        process.execPath,
        [tsc, ...options, "--moduleResolution", resolution, ...types, "--skipLibCheck", file],
        { cwd: application },
      );
      await expect(checked.catch(({ stdout }) => stdout)).resolves.toMatchObject({ stdout: "" });
    },
    60_000,
  );

  test("is a client with which the example of a Node service runs, on an old Node too", async () => {
    const example = join(folder.path, "node-service");
    const source = join(ROOT, "examples/node-service");
    await mkdir(join(example, "node_modules"), { recursive: true });
    await symlink(join(client, "node_modules/prism-client"), join(example, "node_modules/prism-client"));
    await symlink(join(ROOT, "node_modules/fastify"), join(example, "node_modules/fastify"));
    await writeFile(join(example, "package.json"), '{"type":"module"}');
    for (const name of (await readdir(source)).filter((each) => each.endsWith(".ts"))) {
      const text = await readFile(join(source, name), "utf8");
      await writeFile(join(example, name), text.replace("../../client/node.ts", "prism-client"));
    }
    await using server = await spawnServer(["--memory"]);
    for (const node of [commands.get("Node 22") ?? "", process.execPath]) {
      const port = String(await freePort());
      const service = spawnChild("listening on", node, [join(example, "main.ts")], {
        env: { ...process.env, PRISM_ADDRESS: server.address, PORT: port },
      });
      try {
        await service.ready;
        const answer = await fetch(`http://127.0.0.1:${port}/login`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"user":"alice"}',
        });
        expect(await answer.json()).toEqual({ token: expect.stringMatching(/^[\w-]{43}$/) });
      } finally {
        service.process.kill("SIGTERM");
        await service.exited;
      }
    }
  }, 300_000);

  test("is a client whose adapters are there without the libraries that call them", async () => {
    const names = ["keyv", "unstorage", "session"];
    const lines = names.map((name) => `console.log(Object.keys(await import("prism-client/${name}")));`);
    const file = join(client, "adapters.mjs");
    await writeFile(file, lines.join("\n"));
    const { stdout } = await run(commands.get("Node 22") ?? "", [file]);
    expect(stdout).toBe("[ 'createKeyvStore' ]\n[ 'createStorageDriver' ]\n[ 'createSessionStore' ]\n");
    const manifest = JSON.parse(
      await readFile(join(client, "node_modules/prism-client/package.json"), "utf8"),
    );
    expect(Object.keys(manifest.peerDependenciesMeta)).toEqual(Object.keys(manifest.peerDependencies));
  });
});
