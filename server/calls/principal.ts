/** What a caller may do to a namespace. `admin` includes the others. */
export const PERMISSIONS = ["read", "write", "admin"] as const;

/** One of {@link PERMISSIONS}. */
export type Permission = (typeof PERMISSIONS)[number];

/** What a caller may do on the admin port. Each includes those before it. */
export const ADMIN_ROLES = ["viewer", "operator", "admin"] as const;

/** One of {@link ADMIN_ROLES}. */
export type AdminRole = (typeof ADMIN_ROLES)[number];

/** What a caller may do in some namespaces. */
export interface Grant {
  /** The namespaces: a name, or a beginning of names with `*` behind it. `*` alone = all. */
  readonly namespaces: string;
  readonly permissions: readonly Permission[];
  /** The keys (of entries, lists and records) start with this. "" = all keys. */
  readonly keyPrefix: string;
  /** The calls, by their names in the proto, such as `Get`. `undefined` = all. */
  readonly methods: readonly string[] | undefined;
}

/** Who calls, and what it may do. It comes from credentials that were checked. */
export interface Principal {
  /**
   * Its name in the log, the audit log and the quotas: never a secret. Service patterns of a
   * namespace's access match it (`user-api.prod.eu`).
   */
  readonly name: string;
  readonly grants: readonly Grant[];
  /** What it may do on the admin port. Absent = nothing. */
  readonly adminRole?: AdminRole | undefined;
}

/** Whether a name fits a pattern: the name itself, or a beginning of names with `*` behind it. */
export function matchesPattern(pattern: string, name: string): boolean {
  return pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** Whether the caller has this admin role, or one that includes it. */
export function hasAdminRole({ adminRole }: Principal, needed: AdminRole): boolean {
  return adminRole !== undefined && ADMIN_ROLES.indexOf(adminRole) >= ADMIN_ROLES.indexOf(needed);
}
