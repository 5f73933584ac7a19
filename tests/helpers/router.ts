import type { Backend } from "../../server/backend/contract.ts";
import { NamespaceRegistry, type NamespaceRouter } from "../../server/namespaces/registry.ts";

/** Namespaces that are all on one store. The caller opens and closes the store. */
export async function routerOn(backend: Backend, names: readonly string[]): Promise<NamespaceRouter> {
  const registry = new NamespaceRegistry(() => {});
  const source = { name: backend.type, open: async () => backend };
  await registry.add(names.map((name) => ({ name, source })));
  return registry;
}
