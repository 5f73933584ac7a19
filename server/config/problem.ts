/** One thing that is wrong with the configuration, and where. */
export interface Problem {
  /** The file as the operator named it; `undefined` where a flag or an environment variable is at fault. */
  readonly file: string | undefined;
  /** From 1; `undefined` where the fault has no place in the file (it cannot be read, say). */
  readonly line: number | undefined;
  /** From 1, in UTF-16 units; `undefined` together with `line`. */
  readonly column: number | undefined;
  /** The setting (`namespaces[1].backend`), variable (`PRISM_LISTEN`) or flag (`--listen`); "" = the file as a whole. */
  readonly path: string;
  /** What is wrong and what was expected. Never holds the value of an environment variable. */
  readonly message: string;
}

/** So many problems a report shows: a longer one helps nobody. The rest is counted. */
export const MAX_RENDERED = 50;

/** The configuration cannot be used. Its message is one line per problem, in the order of the file. */
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

/** `prism.yaml:7:5: namespaces[1].backend: no backend "pg"`, less the parts that the problem does not have. */
export function renderProblem({ file, line, column, path, message }: Problem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(":");
  return [place, path, message].filter((part) => part !== "").join(": ");
}

/** `["namespaces", 1, "backend"]` as `namespaces[1].backend`; a key that is no plain word is put in quotes. */
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
