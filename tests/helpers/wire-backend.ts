import type { Transport } from "@connectrpc/connect";
import type { Backend } from "../../server/backend/contract.ts";
import { Plugin } from "../../server/backend/remote/plugin.ts";
import { createScans } from "../../server/backend/remote/scans.ts";
import { createEntries, createLists } from "../../server/backend/remote/stores.ts";

/**
 * The contract on one side, a server's RPCs on the other, so that the conformance suite runs over a protocol: the stores of the remote
 * room over any transport. The wire counts time to live in seconds and the contract in milliseconds: here one stands for one, so
 * the server's clock has to run 1,000 times as fast as the suite's.
 */
export function createWireBackend(transport: Transport): Backend {
  const plugin = new Plugin(transport, { type: "wire" });
  const options = { plugin: () => plugin, secondMs: 1 };
  const entries = createEntries(options);
  const scans = createScans(options);
  const lists = createLists(options);
  return {
    type: "wire",
    // Prism's own transport has written a value when its call returns; others have not.
    entries: { ...entries, set: (namespace, writes, call) => entries.set(namespace, copied(writes), call) },
    scans,
    lists: { ...lists, push: (namespace, pushes, call) => lists.push(namespace, copied(pushes), call) },
    async open() {},
    async check() {},
    async close() {
      scans.close();
    },
  };
}

function copied<T extends { readonly value: Uint8Array }>(writes: readonly T[]): T[] {
  return writes.map((write) => ({ ...write, value: Uint8Array.from(write.value) }));
}
