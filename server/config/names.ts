import { z } from "zod";
import { oneOf } from "../nearest.ts";
import { type Finding, quote, type SourceOf } from "./check.ts";
import { MAX_RENDERED } from "./problem.ts";
import { DATABASE } from "./schema.ts";

// Picks what it can use. The schema itself reports the rest.
const namesSchema = z.object({
  backends: z.record(z.string(), z.unknown()).catch({}),
  namespaces: z
    .array(
      z
        .object({
          name: z.string().optional().catch(undefined),
          backend: z.string().optional().catch(undefined),
        })
        .catch({}),
    )
    .catch([]),
});

/**
 * Checks how names in the file relate: namespaces have different names, and their backends exist.
 * `value` is the unchecked file, so that these findings come together with the schema's.
 */
export function checkNames(value: unknown, sourceOf: SourceOf): readonly Finding[] {
  const { data } = namesSchema.safeParse(value);
  if (data === undefined) {
    return [];
  }
  const findings: Finding[] = [];
  const backends = new Set([DATABASE, ...Object.keys(data.backends)]);
  const backendNames = [...backends];
  const firstUse = new Map<string, number>();
  data.namespaces.forEach(({ name, backend }, index) => {
    if (name !== undefined) {
      const path = ["namespaces", index, "name"];
      const first = firstUse.get(name);
      if (first === undefined) {
        firstUse.set(name, index);
      } else {
        findings.push({
          path,
          message: `${quote(sourceOf(path))} is the name of namespaces[${first}] already`,
        });
      }
    }
    if (backend !== undefined && !backends.has(backend)) {
      const path = ["namespaces", index, "backend"];
      // Suggestions among thousands of names take long, and nobody sees more findings than are
      // shown.
      const advice = findings.length < MAX_RENDERED ? `; ${oneOf(backendNames, backend)}` : "";
      findings.push({ path, message: `no backend ${quote(sourceOf(path))}${advice}` });
    }
  });
  return findings;
}
