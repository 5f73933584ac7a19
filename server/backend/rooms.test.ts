import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { backendSchema, locate, ROOMS, roomOf } from "./rooms.ts";

/** Options of each store that name files, and what they are where relative names start at /etc. */
const LOCATED: Readonly<Record<string, readonly [object, object]>> = {
  memory: [{}, {}],
  sqlite: [{ path: "data/prism.db" }, { path: "/etc/data/prism.db" }],
  postgres: [
    { url: "postgres://h/d", tls: { ca: "ca.pem", cert: "/c.pem", key: "../k.pem" } },
    { tls: { ca: "/etc/ca.pem", cert: "/c.pem", key: "/k.pem" } },
  ],
  redis: [{ url: "redis://h", tls: { ca: "ca.pem" } }, { tls: { ca: "/etc/ca.pem" } }],
  remote: [{ endpoint: "h:1", tls: {} }, { tls: {} }],
};

describe("every room", () => {
  test.each(ROOMS.map(({ type }) => type))(
    "%s: its type finds it, and file names become absolute",
    (type) => {
      const [options, expected] = LOCATED[type] ?? [];
      const config = backendSchema.parse({ type, ...options });
      expect(roomOf(config.type).type).toBe(type);
      expect(locate(config, "/etc")).toEqual({ ...config, ...expected });
    },
  );

  test("there is none of another type", () => {
    expect(() => roomOf("toString")).toThrow(TypeError);
  });
});

test("reading a configuration loads no driver of a store", async () => {
  const script = `
    const { loadConfig } = await import(${JSON.stringify(new URL("../config/load.ts", import.meta.url).href)});
    const env = { PRISM_MEMORY: "1" };
    loadConfig({ env, flags: {}, cwd: "/", checkFiles: false });
    const { createRequire } = await import("node:module");
    console.log(JSON.stringify(Object.keys(createRequire("/x.js").cache)));
    console.log(JSON.stringify(process.moduleLoadList.filter((name) => name.includes("sqlite"))));
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
  const [loaded = "", builtIn] = stdout.split("\n");
  const packages = loaded.match(/node_modules\/(?:pg|ioredis|@connectrpc)\b/g);
  expect([packages, builtIn]).toEqual([null, "[]"]);
});
