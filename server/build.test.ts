import { execFile } from "node:child_process";
import { cp, symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { spawnServer, temporaryFolder } from "./testing/process.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));

test("what `make build` makes runs: built JavaScript, SQL files, the worker thread", async () => {
  await using folder = await temporaryFolder();
  // As the Dockerfile lays it out: package.json, node_modules and dist side by side.
  const dist = join(folder.path, "dist");
  await run("make", ["build", `DIST=${dist}`], { cwd: ROOT });
  await cp(join(ROOT, "package.json"), join(folder.path, "package.json"));
  await symlink(join(ROOT, "node_modules"), join(folder.path, "node_modules"));
  const main = join(dist, "server/main.js");

  const { stdout } = await run(process.execPath, [main, "--version"]);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);

  await using server = await spawnServer(["--data-dir", join(folder.path, "data")], main);
  const { PrismClient } = await import(join(dist, "client/node.js"));
  const client = new PrismClient(server.address);
  await client.keyvalue.set("k", "v");
  expect(Buffer.from(await client.keyvalue.get("k")).toString()).toBe("v");
  await client.close();
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(0);
}, 60_000);
