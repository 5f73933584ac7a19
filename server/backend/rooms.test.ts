import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { backendSchema, locate, ROOMS, roomOf } from "./rooms.ts";

describe("every room", () => {
  test.each(ROOMS)("$type: is found by its type, which is what its schema asks for", (room) => {
    expect(roomOf(room.type)).toBe(room);
    const issuesOf = (type: string) => room.schema.safeParse({ type }).error?.issues ?? [];
    const isOfType = ({ path }: { readonly path: readonly PropertyKey[] }) => path[0] === "type";
    expect(issuesOf(room.type).filter(isOfType)).toEqual([]);
    expect(issuesOf("another").filter(isOfType)).not.toEqual([]);
  });

  test("there is none of another type", () => {
    expect(() => roomOf("toString")).toThrow(TypeError);
  });
});

test.each<[object, object]>([
  [{ type: "memory" }, {}],
  [{ type: "sqlite", path: "data/prism.db" }, { path: "/etc/data/prism.db" }],
  [{ type: "sqlite", path: "/srv/prism.db" }, {}],
  [
    { type: "postgres", url: "postgres://h/d", tls: { ca: "ca.pem", cert: "/c.pem", key: "../k.pem" } },
    { tls: { ca: "/etc/ca.pem", cert: "/c.pem", key: "/k.pem" } },
  ],
  [{ type: "redis", url: "redis://h", tls: { ca: "ca.pem" } }, { tls: { ca: "/etc/ca.pem" } }],
  [{ type: "kafka", brokers: ["h:1"], tls: { ca: "ca.pem" } }, { tls: { ca: "/etc/ca.pem" } }],
  [{ type: "remote", endpoint: "h:1", tls: {} }, {}],
])("file names of %j become absolute", (options, located) => {
  const config = backendSchema.parse(options);
  expect(locate(config, "/etc")).toEqual({ ...config, ...located });
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
  const packages = loaded.match(/node_modules\/(?:pg|ioredis|@platformatic|@connectrpc)\b/g);
  expect([packages, builtIn]).toEqual([null, "[]"]);
});
