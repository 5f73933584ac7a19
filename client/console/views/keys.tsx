import type { NamespacePart } from "./namespace-part.ts";

/** To come. */
export function Keys({ namespace }: NamespacePart) {
  return <p>{namespace}</p>;
}
