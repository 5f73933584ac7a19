import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { bytes, CALL, present, texts } from "./conformance/harness.ts";
import { createBackend } from "./factory.ts";
import { type BackendConfig, backendSchema } from "./rooms.ts";

describe("createBackend", () => {
  test.each(["memory", "sqlite"] as const)("makes a guarded %s store", async (type) => {
    const directory = mkdtempSync(join(tmpdir(), "prism-factory-"));
    const config: BackendConfig = type === "memory" ? { type } : { type, path: join(directory, "prism.db") };
    const backend = await createBackend(config);
    expect(backend.type).toBe(type);
    const entries = present(backend.entries);
    await expect(entries.get("a", ["k"], CALL)).rejects.toMatchObject({ reason: "store_unavailable" });
    await backend.open();
    await entries.set("a", [{ key: "k", value: bytes("1"), ttlMs: 60_000 }], CALL);
    expect(texts(await entries.get("a", ["k"], CALL))).toEqual(["1"]);
    await backend.close();
    rmSync(directory, { recursive: true });
  });
});

describe("backendSchema", () => {
  test.each([
    { type: "memory" },
    { type: "sqlite", path: "prism.db" },
    { type: "sqlite", path: "prism.db", max_bytes: 1_000_000_000 },
    { type: "remote", endpoint: "localhost:50051" },
    { type: "remote", endpoint: "http://127.0.0.1:1", namespace: "a" },
    { type: "remote", endpoint: "https://[::1]:65535", tls: { ca: "ca.pem" } },
  ])("takes %j", (config) => {
    expect(backendSchema.parse(config)).toEqual(config);
  });

  test.each([
    {},
    { type: "mysql" },
    { type: "memory", path: "prism.db" },
    { type: "remote" },
    { type: "remote", endpoint: "[a]:1" },
    { type: "remote", endpoint: "a:1", namespace: "A" },
    { type: "sqlite" },
    { type: "sqlite", path: "" },
    { type: "sqlite", path: ":memory:" },
    { type: "sqlite", path: "prism.db", max_bytes: 0 },
    { type: "sqlite", path: "prism.db", max_bytes: 1e9 + 0.5 },
    { type: "sqlite", path: "prism.db", maxBytes: 1_000_000_000 },
  ])("refuses %j", (config) => {
    expect(backendSchema.safeParse(config).success).toBe(false);
  });
});
