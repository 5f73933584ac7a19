import { execFile } from "node:child_process";
import { cp, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE_FLAGS, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { canStartRedis, startRedis } from "./helpers/redis.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The oldest Node that the client supports. */
const OLD_NODE = 22;

/** The first TypeScript block in README.md, which is about the client. */
async function readmeSnippet(): Promise<string> {
  const [, snippet = ""] = /```ts\n([\s\S]*?)```/.exec(await readFile(join(ROOT, "README.md"), "utf8")) ?? [];
  return snippet;
}

describe("what `make build` makes", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let gateway: string;
  let client: string;
  let oldNode: string;

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

    client = join(folder.path, "client");
    await mkdir(client);
    const { stdout } = await run("npm", ["pack", distClient, "--pack-destination", folder.path, "--json"]);
    const [{ filename }] = JSON.parse(stdout);
    await run("npm", ["install", "--no-audit", "--no-fund", join(folder.path, filename)], { cwd: client });

    const old = join(folder.path, "old-node");
    await mkdir(old);
    const name = `node-${process.platform}-${process.arch}`;
    await run("npm", ["install", "--no-audit", "--no-fund", `${name}@${OLD_NODE}`], { cwd: old });
    oldNode = join(old, "node_modules", name, "bin/node");
  }, 900_000);

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
    const { admin_listen: admin } = JSON.parse(server.lines.at(-1) ?? "");
    expect((await fetch(`http://${admin}/openapi.json`)).status).toBe(200);
  });

  test("is a gateway that tells an old Node what it needs", async () => {
    const start = run(oldNode, [join(gateway, "dist/server/prism.cjs"), "serve"]);
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
    expect(paths.filter((path) => /\.test\.|testing|client\/web/.test(path))).toEqual([]);
    const map = JSON.parse(await readFile(join(gateway, "dist/server/main.js.map"), "utf8"));
    expect(map.sourcesContent).toEqual([await readFile(join(ROOT, "server/main.ts"), "utf8")]);
  });

  test("is a client of three packages", async () => {
    const installed = await readdir(join(client, "node_modules"), { recursive: true });
    const packages = installed
      .filter((path) => /^(@[^/]+\/)?[^@/]+\/package\.json$/.test(path))
      .map((path) => path.replace("/package.json", ""))
      .sort();
    expect(packages).toEqual(["@bufbuild/protobuf", "@connectrpc/connect", "prism-client"]);
    const files = installed.filter((path) => path.startsWith("prism-client/"));
    expect(files).toEqual(expect.arrayContaining(["prism-client/LICENSE", "prism-client/README.md"]));
    expect(files.filter((path) => /\.test\.|testing|manifest|\/server\//.test(path))).toEqual([]);
  });

  test("is a client with which README's lines run, on an old Node too", async () => {
    await using server = await spawnServer(["--memory"]);
    const snippet = (await readmeSnippet()).replace("localhost:8980", server.address);
    const file = join(client, "snippet.mjs");
    await writeFile(file, snippet);
    for (const node of [oldNode, process.execPath]) {
      const { stdout, stderr } = await run(node, [file]);
      expect([stdout, stderr]).toEqual(["user:1 alice\n", ""]);
    }
  }, 60_000);

  test("is a client with types", async () => {
    const file = join(client, "types.ts");
    const lines = [
      await readmeSnippet(),
      'import { PrismClient as WebClient } from "prism-client/web";',
      'import { KeyValueBasicInterface } from "prism-client/gen/prism/interfaces/keyvalue/keyvalue_basic_pb";',
      "new Response(await new WebClient().keyvalue.get(KeyValueBasicInterface.typeName));",
      "// @ts-expect-error It is no number.",
      "export const wrong: number = await client.keyvalue.get('key');",
    ];
    await writeFile(file, lines.join("\n"));
    const typeRoots = join(ROOT, "node_modules/@types");
    const options = ["--strict", "--noEmit", "--target", "esnext", "--module", "nodenext", "--skipLibCheck"];
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    await writeFile(join(client, "package.json"), '{"type":"module"}');
    const checked = run(
      process.execPath,
      [tsc, ...options, "--types", "node", "--typeRoots", typeRoots, file],
      { cwd: client },
    );
    await expect(checked.catch(({ stdout }) => stdout)).resolves.toMatchObject({ stdout: "" });
  }, 60_000);
});
