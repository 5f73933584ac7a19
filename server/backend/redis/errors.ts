import { ReplyError } from "ioredis";
import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";

/**
 * Whether a command is made again where its connection broke, and what it did is in doubt. One that changes nothing, or that leaves the
 * same behind however often it is made, is `repeatable`; any other is made `once`.
 */
export type Kind = "repeatable" | "once";

/** What a failed command means for its caller; `wasSent`: its server may have received it. `error` is what the driver threw. */
export function toPrismError(error: unknown, kind: Kind, wasSent: boolean): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  forgetCommand(error);
  const code = replyCode(error);
  switch (code) {
    case "":
      return kind === "once" && wasSent ? outcomeUnknown(error) : unavailable(error);
    case "OOM":
      return storeFull("the store has reached its bound (maxmemory)", error);
    // It could not write to its disk, and takes no deletes either.
    case "MISCONF":
    case "READONLY":
    case "NOREPLICAS":
      return new ReadOnlyError("the store takes no writes now", error);
    case "LOADING":
    case "MASTERDOWN":
    case "CLUSTERDOWN":
    case "NOAUTH":
    case "WRONGPASS":
      return unavailable(error);
    case "BUSY":
    case "TRYAGAIN":
      return tooBusy(error);
    case "WRONGTYPE":
      return new PrismError("corrupt_data", "the store's data is damaged", { cause: error });
    default:
      return new PrismError("internal", "internal error", { cause: error });
  }
}

/** The driver hangs the command on its errors, with all that was in it: keys, values and passwords, which no log is to have. */
export function forgetCommand(error: unknown): void {
  if (error instanceof Error) {
    Reflect.deleteProperty(error, "command");
  }
}

/** How the driver says that it has followed a Cluster's nodes, which sent it on to each other or asked it to wait, for long enough. */
const GAVE_UP = /^Too many Cluster redirections\. Last error: ReplyError: (\S+) /;

/** A Cluster is moving the keys of the command, which it has not run. */
export function isRefused(error: unknown): boolean {
  return replyCode(error) === "TRYAGAIN";
}

/**
 * The first word of an error that the server itself answered (redis.io/docs/reference/protocol-spec), by which the command had no effect;
 * TRYAGAIN where the nodes of a Cluster sent it on for too long. "" = the error is the driver's.
 */
export function replyCode(error: unknown): string {
  if (!(error instanceof Error)) {
    return "";
  }
  // The driver's types do not say that this is an Error.
  if (error instanceof ReplyError) {
    return error.message.split(" ", 1)[0] ?? "";
  }
  const [, last = ""] = GAVE_UP.exec(error.message) ?? [];
  return last === "MOVED" || last === "ASK" ? "TRYAGAIN" : last;
}

/** Why the store cannot be opened, for the operator: nobody else is there yet. `where` tells no password. */
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

/** Of a Cluster none of whose nodes could be asked: what the last one said. */
export function lastErrorOf(error: unknown): unknown {
  const last: unknown = Reflect.get(Object(error), "lastNodeError");
  return last instanceof Error ? last : error;
}

/** With these a server says that it may do what was asked later. */
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

/** The store cannot be reached; the call had no effect. */
export function unavailable(cause: unknown): PrismError {
  return new PrismError("store_unavailable", "the store cannot be reached", { cause });
}

function storeFull(message: string, cause: unknown): PrismError {
  return new PrismError("store_full", message, { cause });
}

function outcomeUnknown(cause: unknown): PrismError {
  const message = "the store went away during the write; it may or may not have taken effect";
  return new PrismError("outcome_unknown", message, { cause });
}

function tooBusy(cause: unknown): PrismError {
  return new PrismError("overloaded", "the store has too much to do", { cause });
}
