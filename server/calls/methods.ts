import { type DescField, type DescMethod, getOption, ScalarType } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import {
  cacheable,
  rate_limit_rps,
  require_auth,
  required_permissions,
  rpc_cache_ttl_seconds,
  timeout_ms,
} from "../../gen/prism/options_pb.ts";

/** What the proto says of a method, read once. `proto/prism/options.proto` says what each option means. */
export interface MethodRow {
  readonly desc: DescMethod;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Whether there are many requests, many responses, both or neither. */
  readonly kind: DescMethod["methodKind"];
  /** Most time for a call, in milliseconds: the shorter of its option and the operator's bound; 0 = no bound. */
  readonly timeoutMs: number;
  /** Whether a call may change what is stored; so may that of a method that states no idempotency_level. */
  readonly writes: boolean;
  /** Whether a call that is run twice leaves the same state as one that is run once. */
  readonly idempotent: boolean;
  /** Whether a client may use an earlier reply again. */
  readonly cacheable: boolean;
  /** For so many seconds; 0 = the client decides. */
  readonly cacheTtlSeconds: number;
  /** All that the caller must have; [] = none. */
  readonly permissions: readonly string[];
  /** Whether the caller must say who it is, where authentication is configured. */
  readonly requireAuth: boolean;
  /** Calls a second that the service is meant to take from one caller; 0 = no limit of its own. */
  readonly rateLimitRps: number;
  /** The request's field that names the namespace; `undefined` = none, or there are many requests. */
  readonly namespaceField: string | undefined;
  /** The request's field that has the one key; `undefined` = none, or there are many requests. */
  readonly keyField: string | undefined;
}

/** The names in the proto of a field that has the one key of a request: of an entry, of a list. */
const KEY_FIELDS: readonly string[] = ["key", "list_key"];

/** Reads the row of a method. `maxTimeoutMs` bounds every call; 0 = no such bound. */
export function readMethod(desc: DescMethod, maxTimeoutMs: number): MethodRow {
  const { parent, name, methodKind: kind, input } = desc;
  const single = kind === "unary" || kind === "server_streaming";
  const textField = (names: readonly string[]) =>
    single ? input.fields.find((field) => isText(field) && names.includes(field.name))?.localName : undefined;
  return {
    desc,
    path: `/${parent.typeName}/${name}`,
    kind,
    timeoutMs: shortest(getOption(desc, timeout_ms), maxTimeoutMs),
    writes: desc.idempotency !== Level.NO_SIDE_EFFECTS,
    idempotent: desc.idempotency !== Level.IDEMPOTENCY_UNKNOWN,
    cacheable: getOption(desc, cacheable),
    cacheTtlSeconds: getOption(desc, rpc_cache_ttl_seconds),
    permissions: getOption(desc, required_permissions),
    requireAuth: getOption(parent, require_auth),
    rateLimitRps: getOption(parent, rate_limit_rps),
    namespaceField: textField(["namespace"]),
    keyField: textField(KEY_FIELDS),
  };
}

function isText({ fieldKind, scalar }: DescField): boolean {
  return fieldKind === "scalar" && scalar === ScalarType.STRING;
}

/** The shorter of two bounds of which 0 means none. */
function shortest(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b);
}
