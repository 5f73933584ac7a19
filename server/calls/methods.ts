import { type DescField, type DescMethod, getOption, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import {
  any_caller,
  cacheable,
  polled,
  rate_limit_rps,
  require_auth,
  required_permissions,
  rpc_cache_ttl_seconds,
  timeout_ms,
  waits,
} from "../../gen/prism/options_pb.ts";
import { PERMISSIONS, type Permission } from "./principal.ts";

/** What the proto says of a method, read once. `proto/prism/options.proto` explains each option. */
export interface MethodRow {
  readonly desc: DescMethod;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Whether the method streams its requests, its responses, both or neither. */
  readonly kind: DescMethod["methodKind"];
  /**
   * The most milliseconds for a call: the shorter of the method's option and the operator's bound;
   * 0 = no bound.
   */
  readonly timeoutMs: number;
  /** Whether a call may change stored data. True also for a method without an idempotency_level. */
  readonly writes: boolean;
  /** Whether running a call twice leaves the same state as running it once. */
  readonly idempotent: boolean;
  /** Whether a client may reuse an earlier reply. */
  readonly cacheable: boolean;
  /** How long a client may reuse it, in seconds; 0 = the client decides. */
  readonly cacheTtlSeconds: number;
  /** The permissions that the caller must have, all of them; [] = none. */
  readonly permissions: readonly Permission[];
  /** Whether the caller must authenticate, if authentication is configured. */
  readonly requireAuth: boolean;
  /** Whether it is asked again and again while somebody looks on. */
  readonly polled: boolean;
  /** Whether a call may wait for minutes until something happens. */
  readonly waits: boolean;
  /** The calls a second that one caller may make; 0 = no limit for this method. */
  readonly rateLimitRps: number;
  /**
   * The request field with the namespace: its name, or a message that has its name. `undefined` =
   * none, or a stream of requests.
   */
  readonly namespaceField: string | undefined;
  /** The request field with the single key. `undefined` = none, or a stream of requests. */
  readonly keyField: string | undefined;
}

/** The proto names of fields with a request's single key: of an entry, of a list. */
const KEY_FIELDS: readonly string[] = ["key", "list_key"];

/** How the names of Prism's services begin. The others (health, reflection) are for everybody. */
const OWN_SERVICES = "prism.";

/**
 * Reads a method's row. `maxTimeoutMs` bounds every call; 0 = no bound. Throws TypeError for a
 * method of Prism whose options do not say who may call it: it would be open to everybody.
 */
export function readMethod(desc: DescMethod, maxTimeoutMs: number): MethodRow {
  const { parent, name, methodKind: kind, input } = desc;
  const requireAuth = getOption(parent, require_auth);
  const permissions = permissionsOf(desc);
  const saysWho = requireAuth && permissions.length > 0 !== getOption(desc, any_caller);
  if (parent.typeName.startsWith(OWN_SERVICES) && !saysWho) {
    const how = "by prism.require_auth, and by prism.required_permissions or prism.any_caller";
    throw new TypeError(`${parent.typeName}/${name} does not say who may call it, ${how}`);
  }
  const single = kind === "unary" || kind === "server_streaming";
  const textField = (names: readonly string[]) =>
    single ? input.fields.find((field) => isText(field) && names.includes(field.name))?.localName : undefined;
  const messageField = (name: string) =>
    single ? input.fields.find((field) => field.message && field.name === name)?.localName : undefined;
  return {
    desc,
    path: `/${parent.typeName}/${name}`,
    kind,
    timeoutMs: shortest(getOption(desc, timeout_ms), maxTimeoutMs),
    writes: desc.idempotency !== Level.NO_SIDE_EFFECTS,
    idempotent: desc.idempotency !== Level.IDEMPOTENCY_UNKNOWN,
    cacheable: getOption(desc, cacheable),
    cacheTtlSeconds: getOption(desc, rpc_cache_ttl_seconds),
    permissions,
    requireAuth,
    polled: getOption(desc, polled),
    waits: getOption(desc, waits),
    rateLimitRps: getOption(parent, rate_limit_rps),
    namespaceField: textField(["namespace"]) ?? messageField("namespace"),
    keyField: textField(KEY_FIELDS),
  };
}

function permissionsOf(desc: DescMethod): readonly Permission[] {
  return getOption(desc, required_permissions).map((text) => {
    const known = PERMISSIONS.find((permission) => permission === text);
    if (known === undefined) {
      throw new TypeError(`${desc.parent.typeName}/${desc.name} requires an unknown permission: ${text}`);
    }
    return known;
  });
}

function isText({ fieldKind, scalar }: DescField): boolean {
  return fieldKind === "scalar" && scalar === ScalarType.STRING;
}

/** The shorter of two bounds; 0 means no bound. */
function shortest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
