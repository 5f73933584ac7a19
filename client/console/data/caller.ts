/** Who looks, as far as it decides what is offered: a part of GetCaller's answer. */
export interface Caller {
  /** False: everybody may do everything. */
  readonly authConfigured: boolean;
  /** Its name in the log; "" where nobody is asked. */
  readonly name: string;
  /** `viewer`, `operator` or `admin`; "" = none. */
  readonly adminRole: string;
  readonly grants: readonly CallerGrant[];
}

/** What a caller may do with the data of some namespaces. */
export interface CallerGrant {
  /** A name, or a beginning of names with `*` behind it. */
  readonly namespaces: string;
  /** Of {@link Permission}. */
  readonly permissions: readonly string[];
}

/** What a call needs. `admin` includes the others. */
export type Permission = "read" | "write" | "admin";

/** What the roles for the admin port allow. */
const ROLE_ALLOWS: Readonly<Record<string, readonly Permission[]>> = {
  viewer: ["read"],
  operator: ["read", "write"],
  admin: ["read", "write", "admin"],
};

/** Whether a caller may see (`read`), make (`write`) or delete (`admin`) namespaces. */
export function mayManage({ authConfigured, adminRole }: Caller, permission: Permission): boolean {
  return !authConfigured || (ROLE_ALLOWS[adminRole]?.includes(permission) ?? false);
}

/**
 * Whether a caller may read or write some of a namespace's data. It may still be refused: its grant
 * may be for some keys or calls alone.
 */
export function mayUse(
  { authConfigured, grants }: Caller,
  namespace: string,
  permission: Permission,
): boolean {
  return (
    !authConfigured ||
    grants.some(
      ({ namespaces, permissions }) =>
        matches(namespaces, namespace) && (permissions.includes(permission) || permissions.includes("admin")),
    )
  );
}

/** The namespaces that a caller may read and that are granted by their whole names, in order. */
export function grantedNames({ grants }: Caller): readonly string[] {
  const names = grants
    .filter(({ namespaces }) => !namespaces.endsWith("*"))
    .map(({ namespaces }) => namespaces);
  return [...new Set(names)].sort();
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
