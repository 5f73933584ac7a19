import type { NamespacePart } from "./namespace-part.ts";

/** To come. */
export function Lists({ namespace }: NamespacePart) {
  return <p>{namespace}</p>;
}
