import { expect, test } from "vitest";
import { SILENT } from "../backend/contract.ts";
import { createMemoryCatalog } from "./memory.ts";
import { describeCatalog, newNamespace } from "./suite.ts";

describeCatalog({
  name: "memory",
  durable: false,
  shared: false,
  async place() {
    return { create: () => createMemoryCatalog(), async [Symbol.asyncDispose]() {} };
  },
});

test("says once that it lasts no longer than the process", async () => {
  const said: string[] = [];
  const catalog = createMemoryCatalog({ ...SILENT, warn: (_, message) => said.push(message) });
  expect(said).toEqual([]);
  for (const name of ["a", "b"]) {
    await catalog.save(newNamespace(name));
  }
  expect(said).toEqual(["control is in memory: namespaces that are made at run time end with this process"]);
});
