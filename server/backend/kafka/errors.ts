import {
  GenericError,
  type ProtocolError,
  protocolErrorsCodesById,
  ResponseError,
} from "@platformatic/kafka";
import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import { type StoreReason, storeError } from "../store-errors.ts";

/**
 * Whether a write may have taken effect although its call failed. `never`: the call changes
 * nothing, or nothing was sent.
 */
export type Doubt = "never" | "maybe";

/** What Kafka's errors (kafka.apache.org/protocol#protocol_error_codes) mean for a caller. */
const REASONS: Readonly<Record<string, StoreReason>> = {
  MESSAGE_TOO_LARGE: "value_too_large",
  RECORD_LIST_TOO_LARGE: "value_too_large",
  CORRUPT_MESSAGE: "corrupt_data",
  THROTTLING_QUOTA_EXCEEDED: "overloaded",
  LEADER_NOT_AVAILABLE: "store_unavailable",
  NOT_LEADER_OR_FOLLOWER: "store_unavailable",
  FENCED_LEADER_EPOCH: "store_unavailable",
  UNKNOWN_LEADER_EPOCH: "store_unavailable",
  UNKNOWN_TOPIC_OR_PARTITION: "store_unavailable",
  UNKNOWN_TOPIC_ID: "store_unavailable",
  INCONSISTENT_TOPIC_ID: "store_unavailable",
  BROKER_NOT_AVAILABLE: "store_unavailable",
  REPLICA_NOT_AVAILABLE: "store_unavailable",
  NETWORK_EXCEPTION: "store_unavailable",
  COORDINATOR_LOAD_IN_PROGRESS: "store_unavailable",
  COORDINATOR_NOT_AVAILABLE: "store_unavailable",
  NOT_COORDINATOR: "store_unavailable",
  NOT_CONTROLLER: "store_unavailable",
  NOT_ENOUGH_REPLICAS: "store_unavailable",
  KAFKA_STORAGE_ERROR: "store_unavailable",
  TOPIC_AUTHORIZATION_FAILED: "store_unavailable",
  GROUP_AUTHORIZATION_FAILED: "store_unavailable",
  CLUSTER_AUTHORIZATION_FAILED: "store_unavailable",
  SASL_AUTHENTICATION_FAILED: "store_unavailable",
};

/** Errors that leave open whether a write took effect. */
const DOUBTFUL: ReadonlySet<string> = new Set(["REQUEST_TIMED_OUT", "NOT_ENOUGH_REPLICAS_AFTER_APPEND"]);

/** Names of the errors of a topic that is not there. */
export const MISSING: ReadonlySet<string> = new Set(["UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_ID"]);

/** Kafka's name for an error code, such as NOT_LEADER_OR_FOLLOWER. "" = 0, which is no error. */
export function nameOfCode(code: number): string {
  return code === 0 ? "" : (protocolErrorsCodesById[code] ?? `error ${code}`);
}

/** What an error code in an answer means for the caller. `doubt` is for those that tell nothing. */
export function errorOfCode(code: number, doubt: Doubt = "never"): PrismError {
  const name = nameOfCode(code);
  return errorOfName(name, doubt, new Error(`Kafka answered ${name}`));
}

/** What a failed call of the protocol means for its caller. `error` is what the client threw. */
export function toPrismError(error: unknown, doubt: Doubt = "never"): PrismError {
  return error instanceof PrismError ? error : errorOfName(protocolErrorOf(error)?.apiId, doubt, error);
}

/** `undefined` = the connection broke, or nobody answered in time. */
function errorOfName(name: string | undefined, doubt: Doubt, cause: unknown): PrismError {
  if (name === undefined || DOUBTFUL.has(name)) {
    return storeError(doubt === "maybe" ? "outcome_unknown" : "store_unavailable", cause);
  }
  return storeError(REASONS[name] ?? "internal", cause);
}

/**
 * What it means for the caller that the brokers refuse to do this. `said` is their text, for the
 * log.
 */
export function adminError(
  code: number,
  said: string | null | undefined,
  what: string,
  doubt: Doubt,
): PrismError {
  const name = nameOfCode(code);
  const cause = new Error(`Kafka answered ${name}: ${said ?? ""}`);
  switch (name) {
    // Other calls go on, so these do not count as a store that is away.
    case "TOPIC_AUTHORIZATION_FAILED":
    case "CLUSTER_AUTHORIZATION_FAILED":
      return new ReadOnlyError(`the brokers do not let the gateway ${what}`, cause);
    case "POLICY_VIOLATION":
    case "INVALID_CONFIG":
      return new ReadOnlyError(`the brokers do not let the gateway ${what} with these options`, cause);
    case "INVALID_REPLICATION_FACTOR":
      return new ReadOnlyError("the cluster has too few brokers for a new stream now", cause);
    case "TOPIC_DELETION_DISABLED":
      return new PrismError("interface_unsupported", "the brokers delete no topics", { cause });
    default:
      return errorOfCode(code, doubt);
  }
}

/**
 * What a broker answered to a call of the protocol, also where the answer has errors, which the
 * client throws. Throws {@link toPrismError} if there is no answer.
 */
export async function answered<Response>(
  response: Promise<Response>,
  doubt: Doubt = "never",
): Promise<Response> {
  try {
    return await response;
  } catch (error) {
    if (error instanceof ResponseError) {
      // The response of the same request, whose type the client does not tell.
      return error.response as Response;
    }
    throw toPrismError(error, doubt);
  }
}

/** The error that a broker answered, which the client wraps. `undefined` = none answered. */
function protocolErrorOf(error: unknown): ProtocolError | undefined {
  if (!(error instanceof Error) || !GenericError.isGenericError(error)) {
    return undefined;
  }
  if (typeof Reflect.get(error, "apiId") === "string") {
    return error as ProtocolError;
  }
  for (const each of innerErrors(error)) {
    const found = protocolErrorOf(each);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}

/** Why the store cannot be opened, for the operator. `where` contains no password. */
export function openError(error: unknown, where: string): PrismError {
  const said = error instanceof PrismError && error.cause !== undefined ? error.cause : error;
  const message = `Kafka at ${where}: ${reasonOf(said)}`;
  const isFinal = error instanceof StartError || isAuthentication(said);
  return isFinal
    ? new StartError(message, said)
    : new PrismError("store_unavailable", message, { cause: said });
}

/** The innermost message: the client's outer ones only say that something failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const [first] = innerErrors(error);
  return first instanceof Error ? reasonOf(first) : error.message;
}

/**
 * Whether the brokers do not know our user, or not by this mechanism: waiting does not help.
 */
function isAuthentication(error: unknown): boolean {
  if (!(error instanceof Error)) {
    return false;
  }
  return Reflect.get(error, "code") === "PLT_KFK_AUTHENTICATION" || innerErrors(error).some(isAuthentication);
}

/** The errors that the client has put into one of its own. */
function innerErrors(error: Error): readonly unknown[] {
  return error instanceof AggregateError ? error.errors : [error.cause];
}
