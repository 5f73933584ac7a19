import type { MessageInitShape } from "@bufbuild/protobuf";
import type { NamespacePoliciesSchema, NamespaceSchema } from "../../../gen/prism/control/v1/namespace_pb.ts";

type Policies = MessageInitShape<typeof NamespacePoliciesSchema>;

/** A limit of a namespace that is a whole number. */
export interface LimitField {
  /** Its name in the messages, and in the form. */
  readonly name: Exclude<keyof Policies, `$${string}`>;
  readonly label: string;
  /** How much one of the form is in the message. */
  readonly unit: number;
  /** The most that the form takes. */
  readonly max: number;
}

const MOST = Number.MAX_SAFE_INTEGER;
const YEARS_100_SECONDS = 100 * 365 * 86_400;

/** The limits that a form asks for. 0 or nothing = there is none. */
export const LIMIT_FIELDS: readonly LimitField[] = [
  { name: "maxValueBytes", label: "Largest value, in KiB", unit: 1024, max: 65_536 },
  { name: "maxEntries", label: "Most entries", unit: 1, max: MOST },
  { name: "maxRps", label: "Calls a second, on average", unit: 1, max: MOST },
  { name: "burst", label: "Calls at once after a quiet time", unit: 1, max: MOST },
  { name: "maxConcurrentCalls", label: "Calls at the same time", unit: 1, max: MOST },
  {
    name: "maxInBytesPerSecond",
    label: "KiB of requests a second",
    unit: 1024,
    max: Math.floor(MOST / 1024),
  },
  {
    name: "defaultTtlSeconds",
    label: "Time to live where none is given, in seconds",
    unit: 1,
    max: YEARS_100_SECONDS,
  },
  { name: "minTtlSeconds", label: "Shortest time to live, in seconds", unit: 1, max: YEARS_100_SECONDS },
  { name: "maxTtlSeconds", label: "Longest time to live, in seconds", unit: 1, max: YEARS_100_SECONDS },
];

/** What names of namespaces look like, for `<input pattern>`. */
export const NAME_PATTERN = "[a-z][a-z0-9\\-_.]{0,62}";

/** The namespace that a form describes. `field` tells what was typed; "" = nothing. */
export function namespaceOf(field: (name: string) => string): MessageInitShape<typeof NamespaceSchema> {
  const limits = LIMIT_FIELDS.flatMap(({ name, unit }) => {
    const number = Math.round(Number(field(name)));
    return number > 0 ? [[name, BigInt(number) * BigInt(unit)]] : [];
  });
  const ttlForbidden = field("ttlForbidden") !== "";
  const hasPolicies = limits.length > 0 || ttlForbidden;
  return {
    name: field("name").trim(),
    backend: field("backend"),
    ...(hasPolicies && { policies: { ...Object.fromEntries(limits), ttlForbidden } }),
  };
}
