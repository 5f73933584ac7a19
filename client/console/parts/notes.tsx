import type { ComponentChildren } from "preact";
import { adviceFor, type Problem } from "../problem.ts";
import { CopyText } from "./copy.tsx";

/** Says what failed, where it failed. */
export function ProblemNote({
  problem,
  hasAdvice = true,
  onRetry,
}: {
  readonly problem: Problem | undefined;
  /** False where the advice is what who looks does already. */
  readonly hasAdvice?: boolean;
  /** Absent = trying again is no use. */
  readonly onRetry?: () => void;
}) {
  if (problem === undefined) {
    return null;
  }
  const advice = hasAdvice ? adviceFor(problem) : "";
  return (
    <div class="note problem" role="alert">
      <p>{problem.message}</p>
      {advice !== "" && <p class="quiet">{advice}</p>}
      {onRetry !== undefined && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** Says that there is nothing, and what to do first. */
export function Empty({
  title,
  children,
  command,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
  /** A line for a terminal that works as it is. */
  readonly command?: string;
}) {
  return (
    <div class="empty">
      <p class="title">{title}</p>
      {children}
      {command !== undefined && <CopyText text={command} />}
    </div>
  );
}

/** Stands where something will be. */
export function Waiting({ what }: { readonly what: string }) {
  return (
    <p class="quiet waiting" role="status">
      Reading {what} …
    </p>
  );
}
