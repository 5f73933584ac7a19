import { describe, expect, test } from "vitest";
import type { Backend } from "../contract.ts";
import { INTERFACES, type Interface, rowsOf } from "../operations.ts";
import type { Harness } from "./harness.ts";

/** What the store says it has is what it has. */
export function describeCapabilities(harness: Harness): void {
  describe("capabilities", () => {
    test.each(INTERFACES)("%s: present as declared", async (capability) => {
      const { backend, dispose } = await harness.create();
      expectMethods(backend, capability, harness.capabilities.includes(capability));
      await dispose();
    });
  });
}

function expectMethods(backend: Backend, capability: Interface, declared: boolean): void {
  expect(capability in backend).toBe(declared);
  if (!declared) {
    return;
  }
  for (const [method] of rowsOf(capability)) {
    expect(backend[capability]).toHaveProperty(method, expect.any(Function));
  }
}
