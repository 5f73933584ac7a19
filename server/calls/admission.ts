import type { Consumer } from "../namespaces/rules.ts";
import type { MethodRow } from "./methods.ts";
import { type Grant, matchesPattern, type Permission, type Principal } from "./principal.ts";

/** What an admitted call may touch. */
export interface Admission {
  /** Keys that start with one of these. `undefined` = all keys. */
  readonly keyPrefixes: readonly string[] | undefined;
}

/**
 * Whether a caller may call a method on a namespace, and on which of its keys. It needs all of the
 * method's permissions for a key, from its own grants or from the namespace's `consumers`.
 * `undefined` = on none.
 */
export function admissionOf(
  principal: Principal,
  consumers: readonly Consumer[],
  { permissions, desc }: MethodRow,
  namespace: string,
): Admission | undefined {
  const grants: readonly GrantedHere[] = [
    ...principal.grants.filter(({ namespaces }) => matchesPattern(namespaces, namespace)),
    ...consumers.filter(({ servicePattern }) => matchesPattern(servicePattern, principal.name)),
  ].filter(({ methods }) => methods === undefined || methods.includes(desc.name));
  let keyPrefixes: readonly string[] = [""];
  for (const permission of permissions) {
    const granted = grants.filter((grant) => includes(grant, permission)).map((grant) => grant.keyPrefix);
    keyPrefixes = common(keyPrefixes, granted);
  }
  if (keyPrefixes.length === 0) {
    return undefined;
  }
  return keyPrefixes.includes("") ? ALL_KEYS : { keyPrefixes };
}

const ALL_KEYS: Admission = { keyPrefixes: undefined };

/** A grant that holds in one namespace. */
type GrantedHere = Pick<Grant, "keyPrefix" | "methods"> & { readonly permissions: readonly string[] };

function includes({ permissions }: GrantedHere, needed: Permission): boolean {
  return permissions.includes(needed) || permissions.includes("admin");
}

/** The prefixes of the keys that have a prefix of both, none of them within another. */
function common(some: readonly string[], others: readonly string[]): readonly string[] {
  const both = some.flatMap((one) =>
    others.flatMap((other) => (one.startsWith(other) ? [one] : other.startsWith(one) ? [other] : [])),
  );
  const distinct = [...new Set(both)];
  return distinct.filter((prefix) => !distinct.some((other) => other !== prefix && prefix.startsWith(other)));
}
