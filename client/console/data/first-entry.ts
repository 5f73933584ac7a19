import type { Target } from "./snippets.ts";

/** A line for a terminal that stores an entry, and works as it is. */
export function curlOfFirstEntry({ dataUrl, namespace, asksWhoCalls }: Target): string {
  const named = namespace === "default" ? "" : `"namespace":"${namespace}",`;
  const key = asksWhoCalls ? ` \\\n  -H "Authorization: Bearer $PRISM_TOKEN"` : "";
  return `curl ${dataUrl}/prism.interfaces.keyvalue.KeyValueBasicInterface/Set${key} \\
  -H 'Content-Type: application/json' -d '{${named}"key":"hello","value":"${btoa("world")}"}'`;
}
