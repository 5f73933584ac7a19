import type { NamespacePart } from "./namespace-part.ts";

/** To come. */
export function Records({ namespace }: NamespacePart) {
  return <p>{namespace}</p>;
}
