import { readdir, readlink } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pino } from "pino";
import { expect, test } from "vitest";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { waitFor } from "../tests/helpers/until.ts";
import { createApp } from "./app.ts";
import type { Config } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";

/** The server before its start, in memory and on free ports. */
async function makeApp(adjust: (config: Config) => Config = (config) => config) {
  const flags = { memory: true, listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" };
  const config = loadConfig({ env: {}, flags, cwd: process.cwd() });
  return await createApp(adjust(config), { log: pino({ level: "silent" }) });
}

/** The files that this process has open. */
async function openFiles(): Promise<readonly string[]> {
  const descriptors = await readdir("/proc/self/fd");
  return await Promise.all(descriptors.map((each) => readlink(`/proc/self/fd/${each}`).catch(() => "")));
}

test.runIf(process.platform === "linux")(
  "a store that cannot be closed keeps no other part open",
  async () => {
    await using folder = await temporaryFolder();
    const file = `${folder.path}/audit.log`;
    const app = await makeApp((config) => ({ ...config, audit: { file } }));
    await app.start();
    expect(await openFiles()).toContain(file);
    const [store] = app.registry.stores;
    Object.assign(store?.backend ?? {}, { close: () => Promise.reject(new Error("it stays open")) });
    await expect(app.stop()).rejects.toThrow("it stays open");
    expect(await openFiles()).not.toContain(file);
  },
);

// The start is at another step after so many turns: a store, a port, the other port.
test.each([0, 1, 3, 10, 40, 50, 60])(
  "a stop ends a start that is under way, after %i turns",
  async (turns) => {
    const app = await makeApp();
    const starting = app.start();
    for (let i = 0; i < turns; i++) {
      await Promise.resolve();
    }
    const stopping = app.stop();
    const { data, admin } = await starting;
    await stopping;
    for (const address of [data, admin]) {
      await expect(fetch(`http://127.0.0.1:${address?.port}/`)).rejects.toThrow("fetch failed");
    }
  },
);

/** What is left of a gateway that has ended: nothing, once the memory was collected. */
async function remnant(): Promise<WeakRef<object>> {
  const app = await makeApp();
  await app.start();
  await app.stop();
  return new WeakRef(app.registry);
}

test("a gateway that has ended leaves nothing in its process", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  // The first one may stay, in what Node and V8 keep of the last calls.
  const remnants = [await remnant(), await remnant(), await remnant()];
  await waitFor(async () => {
    collect();
    expect(remnants.filter((each) => each.deref() !== undefined).length).toBeLessThan(2);
  });
});
