import type { Backend, Call } from "../contract.ts";
import { wrapMethods } from "../layers/wrapped.ts";
import type { ArgumentOf, OperationName } from "../operations.ts";
import { bytes, NAMESPACE } from "./harness.ts";

const write = { key: "a", value: bytes("1") };

/** What each method of the contract is called with, where one argument is as good as another. Their one key is "a". */
export const SAMPLES: { readonly [M in OperationName]: ArgumentOf<M> } = {
  get: ["a"],
  exists: ["a"],
  set: [{ ...write, ttlMs: 0 }],
  delete: ["a"],
  scanPage: { prefix: "", after: undefined, maxEntries: 1, maxBytes: 1, keysOnly: true },
  count: "",
  push: [{ ...write, end: "left" }],
  pop: [{ key: "a", end: "left" }],
  length: ["a"],
};

/** Makes one call to each method that the store has, all at once. */
export function callEvery(backend: Backend, call: Call): Promise<unknown>[] {
  const calls: Promise<unknown>[] = [];
  wrapMethods(backend, (method, name) => {
    calls.push(method(NAMESPACE, SAMPLES[name as OperationName] as never, call));
    return method;
  });
  return calls;
}
