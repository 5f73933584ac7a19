import { ADMIN_ROLES, type Grant, matchesPattern, PERMISSIONS, type Principal } from "../calls/principal.ts";
import type { RoleSettings } from "./settings.ts";

/** What credentials say of their caller. */
export interface Caller {
  readonly name: string;
  /** The names of roles that its key has. */
  readonly roles?: readonly string[];
  /** The scopes of its token. */
  readonly scopes?: readonly string[];
  /** Whether scopes of the built-in form grant what they say. Absent = false. */
  readonly grantingScopes?: boolean;
}

/** Puts together what a caller may do: all that its roles allow, and what its scopes grant. */
export function principalOf(all: readonly RoleSettings[], caller: Caller): Principal {
  const { name, roles = [], scopes = [], grantingScopes = false } = caller;
  const own = all.filter(
    (role) =>
      roles.includes(role.name) ||
      role.callers.some((pattern) => matchesPattern(pattern, name)) ||
      role.scopes.some((scope) => scopes.includes(scope)),
  );
  const granted = grantingScopes ? scopes.flatMap((scope) => grantOf(scope) ?? []) : [];
  return {
    name,
    grants: [...own.flatMap(({ grants }) => grants), ...granted],
    adminRole: ADMIN_ROLES.findLast((role) => own.some(({ adminRole }) => adminRole === role)),
  };
}

/** `prism:PERMISSION:NAMESPACES` or `prism:PERMISSION:NAMESPACES:KEY_PREFIX`. */
const SCOPE = /^prism:(?<permission>[a-z]+):(?<namespaces>[^:*]+\*?|\*)(?::(?<keyPrefix>.*))?$/s;

/** What a scope of the built-in form grants; `undefined` = it is of another form. */
function grantOf(scope: string): Grant | undefined {
  const { permission, namespaces, keyPrefix = "" } = SCOPE.exec(scope)?.groups ?? {};
  const known = PERMISSIONS.find((each) => each === permission);
  return known === undefined || namespaces === undefined
    ? undefined
    : { namespaces, permissions: [known], keyPrefix, methods: undefined };
}
