import { describe, expect, test } from "vitest";
import { routerOn } from "../../../tests/helpers/router.ts";
import type { Backend } from "../contract.ts";
import { INTERFACES, type Interface, rowsOf } from "../operations.ts";
import { CALL, type Harness, NAMESPACE } from "./harness.ts";
import { callEvery } from "./samples.ts";

const UNSUPPORTED = { name: "PrismError", reason: "interface_unsupported" };

/** The store has exactly the capabilities that it declares, and refuses the others. */
export function describeCapabilities(harness: Harness): void {
  describe("capabilities", () => {
    test.each(INTERFACES)("%s: present as declared, else refused", async (capability) => {
      const { backend, dispose } = await harness.create();
      await backend.open();
      if (harness.capabilities.includes(capability)) {
        expectMethods(backend, capability);
      } else {
        await expectRefused(backend, capability);
      }
      await backend.close();
      await dispose();
    });

    test("it can remove all data of a namespace, if it declares that", async () => {
      const { backend, dispose } = await harness.create();
      expect(backend.erase !== undefined).toBe(harness.capabilities.includes("erase"));
      await dispose();
    });

    test("what counts cheaply has entries and counts", async () => {
      const { backend, dispose } = await harness.create();
      expect(backend.countsCheaply).toBe(harness.countsCheaply);
      if (backend.countsCheaply === true) {
        expect(backend).toMatchObject({ entries: expect.anything(), scans: expect.anything() });
      }
      await dispose();
    });

    test("it is as atomic as declared", async () => {
      const { backend, dispose } = await harness.create();
      expect(backend.atomic).toBe(harness.atomic);
      await dispose();
    });
  });
}

function expectMethods(backend: Backend, capability: Interface): void {
  for (const [method] of rowsOf(capability)) {
    expect(backend[capability]).toHaveProperty(method, expect.any(Function));
  }
}

/**
 * Either the gateway refuses, because the interface is absent, or a plugin does, of which the
 * gateway learns only by calling.
 */
async function expectRefused(backend: Backend, capability: Interface): Promise<void> {
  const store = backend[capability];
  if (store === undefined) {
    const router = await routerOn(backend, [NAMESPACE]);
    expect(() => router.route(capability, NAMESPACE, CALL)).toThrow(expect.objectContaining(UNSUPPORTED));
    return;
  }
  const { type, atomic, open, check, close } = backend;
  const calls = callEvery({ type, atomic, open, check, close, [capability]: store }, CALL);
  expect(calls).toHaveLength(rowsOf(capability).length);
  for (const call of await Promise.allSettled(calls)) {
    expect(call).toMatchObject({ status: "rejected", reason: UNSUPPORTED });
  }
}
