import type { Transport } from "@connectrpc/connect";
import { present } from "../../server/backend/conformance/harness.ts";
import type { Backend } from "../../server/backend/contract.ts";
import { combineItems } from "../../server/backend/layers/wrapped.ts";
import { createNames } from "../../server/backend/remote/names.ts";
import { Plugin } from "../../server/backend/remote/plugin.ts";
import { createScans } from "../../server/backend/remote/scans.ts";
import { createStores } from "../../server/backend/remote/stores.ts";

/**
 * The contract on one side, a server's RPCs on the other: runs the conformance suite over a
 * protocol. It uses the remote room's stores over any transport. The wire counts time to live in
 * seconds and the contract in milliseconds. Here a second stands for a millisecond, so the server's
 * clock must run 1,000 times as fast as the suite's.
 */
export function createWireBackend(transport: Transport): Backend {
  const plugin = new Plugin(transport, { type: "wire" });
  const options = { plugin: () => plugin, secondMs: 1 };
  const scans = createScans(options);
  return {
    type: "wire",
    atomic: "key",
    // Only Prism's own transport has written a value when its call returns.
    ...combineItems([createStores(options)], ({ kept }, [run]) => {
      const made = present(run);
      return kept === undefined ? made : (namespace, items, call) => made(namespace, items.map(kept), call);
    }),
    scans,
    ...createNames(options),
    async open() {},
    async check() {},
    async close() {
      scans.close();
    },
  };
}
