import { describe, expect, test } from "vitest";
import type { Backend } from "../contract.ts";
import type { Harness } from "./harness.ts";

/** Every capability, and the methods that it promises. */
const METHODS = {
  entries: ["get", "exists", "set", "delete"],
  scans: ["scanPage", "count"],
  lists: ["push", "pop", "length"],
} as const;

/** What the store says it has is what it has. */
export function describeCapabilities(harness: Harness): void {
  describe("capabilities", () => {
    test.each(["entries", "scans", "lists"] as const)("%s: present as declared", async (capability) => {
      const { backend, dispose } = await harness.create();
      expectMethods(backend, capability, harness.capabilities.includes(capability));
      await dispose();
    });
  });
}

function expectMethods(backend: Backend, capability: keyof typeof METHODS, declared: boolean): void {
  expect(capability in backend).toBe(declared);
  if (!declared) {
    return;
  }
  for (const method of METHODS[capability]) {
    expect(backend[capability]).toHaveProperty(method, expect.any(Function));
  }
}
