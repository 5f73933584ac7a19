import { whoLooks } from "./caller.ts";
import type { Target } from "./data/snippets.ts";
import { dataUrl } from "./server.ts";

/** Where commands and programs find a namespace of the gateway that serves the page. */
export function targetOf(namespace: string): Target {
  const asksWhoCalls = whoLooks().value?.authConfigured ?? false;
  return { dataUrl: dataUrl(), adminUrl: location.origin, namespace, asksWhoCalls };
}
