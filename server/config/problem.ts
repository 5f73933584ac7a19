/** A fault of the configuration and its place. */
export interface Problem {
  /** The file as the operator named it; `undefined` = the fault is in a flag or a variable. */
  readonly file: string | undefined;
  /**
   * From 1; `undefined` = the fault has no place in the file, for example because it is unreadable.
   */
  readonly line: number | undefined;
  /** From 1, in UTF-16 units; `undefined` together with `line`. */
  readonly column: number | undefined;
  /**
   * The setting (`namespaces[1].backend`), variable (`PRISM_LISTEN`) or flag (`--listen`); "" = the
   * whole file.
   */
  readonly path: string;
  /** What is wrong and what was expected. Never contains the value of an environment variable. */
  readonly message: string;
}

/** The most problems in a report; the rest is counted. */
export const MAX_RENDERED = 50;

/**
 * The configuration is unusable. The message has a line for each problem, in the order of the file.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const ordered = problems.toSorted(
      (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
    );
    const lines = ordered.slice(0, MAX_RENDERED).map(renderProblem);
    if (ordered.length > MAX_RENDERED) {
      lines.push(`... and ${ordered.length - MAX_RENDERED} more`);
    }
    super(lines.join("\n"));
    this.problems = ordered;
  }
}

/**
 * `prism.yaml:7:5: namespaces[1].backend: no backend "pg"`, without the parts that the problem
 * lacks.
 */
export function renderProblem({ file, line, column, path, message }: Problem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  return [place, path, message].filter((part) => part !== "").join(": ");
}

/**
 * `["namespaces", 1, "backend"]` as `namespaces[1].backend`. A key that is no plain word is quoted.
 */
export function renderPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(extendPath, "");
}

/** A rendered path, one step longer. */
export function extendPath(path: string, step: PropertyKey): string {
  if (typeof step === "number") {
    return `${path}[${step}]`;
  }
  const key = String(step);
  if (!/^[\w-]+$/.test(key)) {
    return `${path}[${JSON.stringify(key)}]`;
  }
  return path === "" ? key : `${path}.${key}`;
}
