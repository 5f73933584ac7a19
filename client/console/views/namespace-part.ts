import type { Route } from "../route.ts";

/** What a view of a part of a namespace is given. */
export interface NamespacePart {
  readonly namespace: string;
  /** The fields of the address, such as the key that is open. */
  readonly query: Route["query"];
}
