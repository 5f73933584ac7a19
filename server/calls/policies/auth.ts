import type { Call } from "../../backend/contract.ts";
import { PrismError } from "../../errors.ts";
import { DEFAULT_NAMESPACE } from "../../limits.ts";
import type { Namespace } from "../../namespaces/live-namespace.ts";
import type { NamespaceRules } from "../../namespaces/rules.ts";
import { type Admission, admissionOf } from "../admission.ts";
import type { MethodRow } from "../methods.ts";
import { type AdminRole, hasAdminRole, type Permission, type Principal } from "../principal.ts";
import type { CallRecord } from "../record.ts";
import type { Policy, PolicyHooks } from "./policy.ts";

/** What credentials are read from: a call, or a plain HTTP request. */
export interface CredentialSource {
  /** The value of a request header, by its name in lower case; several are joined with ", ". */
  header(name: string): string | undefined;
  /** The connection's socket, for its client certificate. */
  readonly socket: object;
}

/** Finds out who calls. */
export interface Authenticator {
  /**
   * Who sent these credentials: at once where they are known. Throws or rejects with
   * {@link PrismError}: `credentials_missing`, `credentials_invalid`, or `overloaded` if too many
   * are being looked at.
   */
  authenticate(source: CredentialSource): Principal | Promise<Principal>;
}

/** What the policy needs. */
export interface AuthPolicyOptions {
  readonly authenticator: Authenticator;
  /** The namespaces, for who may use each. */
  readonly namespaces: { find(name: string): Namespace | undefined };
  /** On the data plane callers have grants for namespaces, on the admin plane admin roles. */
  readonly plane: "data" | "admin";
}

/**
 * Refuses calls whose caller is unknown or may not make them, and tells the others what their
 * caller may touch (`call.keyPrefixes`). It leaves methods alone that need neither credentials nor
 * permissions.
 */
export function createAuthPolicy({ authenticator, namespaces, plane }: AuthPolicyOptions): Policy {
  return {
    on(row) {
      if (!row.requireAuth && row.permissions.length === 0) {
        return undefined;
      }
      const admit = plane === "data" ? admitToNamespace(row, namespaces) : admitToAdmin(row);
      return hooksOf(authenticator, admit);
    },
  };
}

/** Throws {@link PrismError} if the caller may not make the call. */
type Admit = (principal: Principal, record: CallRecord, call: Call) => void;

function hooksOf(authenticator: Authenticator, admit: Admit): PolicyHooks {
  const enter = (principal: Principal, record: CallRecord, call: Call) => {
    record.principal = principal;
    admit(principal, record, call);
  };
  return {
    begin(record, call) {
      const principal = authenticator.authenticate(record);
      if (principal instanceof Promise) {
        return principal.then((found) => enter(found, record, call));
      }
      enter(principal, record, call);
      return undefined;
    },
  };
}

/** The same whether there is such a namespace or not. */
const DENIED = "the caller may not make this call on this namespace";

/**
 * The most admissions of one method that are kept. When it is full, all are forgotten: finding one
 * out again takes a microsecond.
 */
const MAX_KEPT = 4096;

/** An admission, and the rules of the namespace that it holds for. */
interface Kept {
  readonly admission: Admission;
  readonly rules: NamespaceRules;
}

function admitToNamespace(row: MethodRow, namespaces: AuthPolicyOptions["namespaces"]): Admit {
  if (row.namespaceField === undefined) {
    throw new TypeError(`${row.path} names no namespace, so nobody could be granted it`);
  }
  let kept = new WeakMap<Principal, Map<string, Kept>>();
  let count = 0;

  function keep(principal: Principal, name: string, admission: Kept): void {
    if (count === MAX_KEPT) {
      kept = new WeakMap();
      count = 0;
    }
    let own = kept.get(principal);
    if (own === undefined) {
      own = new Map();
      kept.set(principal, own);
    }
    own.set(name, admission);
    count++;
  }

  return (principal, record, call) => {
    const name = record.named || DEFAULT_NAMESPACE;
    const rules = namespaces.find(name)?.rules;
    const before = kept.get(principal)?.get(name);
    if (before !== undefined && before.rules === rules) {
      call.keyPrefixes = before.admission.keyPrefixes;
      return;
    }
    const admission = admissionOf(principal, rules?.access.consumers ?? [], row, name);
    if (admission === undefined) {
      throw new PrismError("permission_denied", DENIED);
    }
    // Of names that stand for nothing callers can make up any number.
    if (rules !== undefined) {
      keep(principal, name, { admission, rules });
    }
    call.keyPrefixes = admission.keyPrefixes;
  };
}

/** The admin role that a permission stands for. */
const ADMIN_ROLE_FOR: Readonly<Record<Permission, AdminRole>> = {
  read: "viewer",
  write: "operator",
  admin: "admin",
};

function admitToAdmin({ permissions }: MethodRow): Admit {
  const needed = permissions.map((permission) => ADMIN_ROLE_FOR[permission]);
  return (principal) => {
    for (const role of needed) {
      requireAdminRole(principal, role);
    }
  };
}

/** Throws {@link PrismError} `permission_denied` if the caller has not this admin role. */
export function requireAdminRole(principal: Principal, needed: AdminRole): void {
  if (!hasAdminRole(principal, needed)) {
    throw new PrismError("permission_denied", `this needs the admin role "${needed}"`);
  }
}
