import { ReplyError } from "ioredis";
import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import { storeError } from "../store-errors.ts";

/**
 * Whether a command is repeated when its connection broke and its effect is in doubt. `repeatable`:
 * it changes nothing, or leaves the same state however often it runs. `together`: the same, but its
 * keys must be read at one moment, so it is repeated also while they are on two nodes of a Cluster.
 * Any other is `once`.
 */
export type Repetition = "repeatable" | "together" | "once";

/**
 * What a failed command means for its caller. `wasSent`: the server may have received it. `error`
 * is what the driver threw.
 */
export function toPrismError(error: unknown, kind: Repetition, wasSent: boolean): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  forgetCommand(error);
  const code = replyCode(error);
  switch (code) {
    case "":
      return storeError(kind === "once" && wasSent ? "outcome_unknown" : "store_unavailable", error);
    case "OOM":
      return storeError("store_full", error);
    // The server could not write to its disk, and takes no deletes either.
    case "MISCONF":
    case "READONLY":
    case "NOREPLICAS":
      return new ReadOnlyError("the store takes no writes now", error);
    case "LOADING":
    case "MASTERDOWN":
    case "CLUSTERDOWN":
    case "NOAUTH":
    case "WRONGPASS":
      return storeError("store_unavailable", error);
    case "BUSY":
    case "TRYAGAIN":
      return storeError("overloaded", error);
    case "WRONGTYPE":
      return storeError("corrupt_data", error);
    default:
      return storeError("internal", error);
  }
}

/**
 * Removes the command that the driver attaches to its errors. It contains keys, values and
 * passwords, which must not reach a log.
 */
export function forgetCommand(error: unknown): void {
  if (error instanceof Error) {
    Reflect.deleteProperty(error, "command");
  }
}

/**
 * The driver's message after too many redirections between the nodes of a Cluster, or too many
 * requests to wait.
 */
const GAVE_UP = /^Too many Cluster redirections\. Last error: ReplyError: (\S+) /;

/** A Cluster is moving the command's keys, and did not run it. */
export function isRefused(error: unknown): boolean {
  return replyCode(error) === "TRYAGAIN";
}

/**
 * The first word of an error reply (redis.io/docs/reference/protocol-spec), which means that the
 * command had no effect. TRYAGAIN also if a Cluster redirected it too often. "" = the error is the
 * driver's.
 */
export function replyCode(error: unknown): string {
  if (!(error instanceof Error)) {
    return "";
  }
  // The driver's types do not declare this class an Error.
  if (error instanceof ReplyError) {
    return error.message.split(" ", 1)[0] ?? "";
  }
  const [, last = ""] = GAVE_UP.exec(error.message) ?? [];
  return last === "MOVED" || last === "ASK" ? "TRYAGAIN" : last;
}

/** Why the store cannot be opened, for the operator. `where` contains no password. */
export function openError(error: unknown, where: string): PrismError {
  const thrown = error instanceof PrismError && error.cause !== undefined ? error.cause : error;
  const cause = lastErrorOf(thrown);
  forgetCommand(cause);
  const said = cause instanceof Error ? cause.message : String(cause);
  const code = replyCode(cause);
  const hint = code === "MOVED" ? "this is a node of a Cluster: name it under `cluster`" : said;
  const message = `Redis at ${where}: ${hint}`;
  const isFinal = error instanceof StartError || (code !== "" && !PASSING.has(code));
  return isFinal ? new StartError(message, cause) : new PrismError("store_unavailable", message, { cause });
}

/** When no node of a Cluster could be asked: the last node's error. */
export function lastErrorOf(error: unknown): unknown {
  const last: unknown = Reflect.get(Object(error), "lastNodeError");
  return last instanceof Error ? last : error;
}

/** Error replies after which the same command may succeed later. */
const PASSING: ReadonlySet<string> = new Set([
  "LOADING",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "READONLY",
  "NOREPLICAS",
  "BUSY",
  "TRYAGAIN",
  "MISCONF",
  "OOM",
]);
