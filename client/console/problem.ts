import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import { PrismError, type PrismErrorReason, reasonOf } from "../errors.ts";

/** A failure in words that help who looks. */
export interface Problem {
  readonly code: Code;
  /** `unspecified`: the gateway did not say. */
  readonly reason: PrismErrorReason;
  readonly message: string;
  /** False: the gateway did not answer; something before it failed. */
  readonly isAnswer: boolean;
}

/** What a failed call tells. */
export function problemOf(thrown: unknown): Problem {
  const problem = toldBy(thrown);
  // What is said of these is for people who write programs.
  if (isAbsence(problem)) {
    return { ...problem, message: "The gateway did not answer." };
  }
  if (problem.reason === "credentials_missing") {
    return { ...problem, message: "The gateway wants to know who calls." };
  }
  return problem;
}

function toldBy(thrown: unknown): Problem {
  if (thrown instanceof PrismError) {
    const { code, reason, requestId, message } = thrown;
    return { code, reason, message, isAnswer: requestId !== undefined || reason !== "unspecified" };
  }
  const error = ConnectError.from(thrown);
  const [detail] = error.findDetails(ErrorSchema);
  return {
    code: error.code,
    reason: detail === undefined ? "unspecified" : reasonOf(detail.reason),
    message: detail?.message || error.rawMessage,
    isAnswer: detail !== undefined,
  };
}

/** Whether the gateway is away. The page says so at its top. */
export function isAbsence({ isAnswer, code }: Problem): boolean {
  return !isAnswer && code === Code.Unavailable;
}

/** Whether the same call would fail again until somebody else signs in. */
export function isDenial({ reason }: Problem): boolean {
  return (
    reason === "permission_denied" || reason === "credentials_missing" || reason === "credentials_invalid"
  );
}

/** What to do about a problem, in a sentence; "" = the message says all. */
export function adviceFor(problem: Problem): string {
  if (isAbsence(problem)) {
    return "Try again when it is back. What you typed is kept.";
  }
  switch (problem.reason) {
    case "credentials_missing":
    case "credentials_invalid":
      return "Sign in, then try again. What you typed is kept.";
    case "permission_denied":
      return "Ask who operates the gateway for a role that may do this.";
    case "namespace_not_found":
      return "It was deleted, or never made. The overview has those that there are.";
    case "store_unavailable":
      return "The store cannot be reached now. Try again when it is back.";
    case "outcome_unknown":
      return "It may have been done or not: look before you try again.";
    default:
      return "";
  }
}
