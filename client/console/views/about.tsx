import type { NamespacePart } from "./namespace-part.ts";

/** To come. */
export function About({ namespace }: NamespacePart) {
  return <p>{namespace}</p>;
}
