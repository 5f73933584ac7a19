/** What the program's exit codes mean; the help lists them. */
export const EXIT = {
  done: 0,
  /** The server could not run, or a call failed for another reason than the ones below. */
  failed: 1,
  /** The command line, the configuration or an argument of a call is wrong. */
  misused: 2,
  /** A compared configuration, or a compared item, differs. */
  different: 3,
  notFound: 4,
  unavailable: 5,
  denied: 6,
} as const;

/** An exit code. */
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command failed as an operator can expect; the message says what to do. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, cause?: unknown) {
    super(message, { cause });
    this.exitCode = exitCode;
  }
}
