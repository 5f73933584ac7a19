import type { Backend } from "../../server/backend/contract.ts";
import { NamespaceRegistry, type NamespaceRouter } from "../../server/namespaces/registry.ts";

/** Namespaces on one store, which the caller opens and closes. */
export async function routerOn(backend: Backend, names: readonly string[]): Promise<NamespaceRouter> {
  const registry = new NamespaceRegistry(() => {});
  const source = { name: backend.type, open: async () => backend };
  await registry.add(names.map((name) => ({ name, source })));
  return registry;
}
