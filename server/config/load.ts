import { dirname, resolve } from "node:path";
import { readFileAtMost } from "../read-file.ts";
import { check, type Finding } from "./check.ts";
import { type Config, compile } from "./config.ts";
import { crossCheck } from "./cross-check.ts";
import { type ConfigDocument, readDocument } from "./document.ts";
import { checkNames } from "./names.ts";
import { ConfigError, type Problem, renderPath } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { configFileOf, type Env, type Flags, readOverrides } from "./settings.ts";

/** The largest configuration file. */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024;

/** Where {@link loadConfig} looks. */
export interface LoadOptions {
  /** The file as the operator named it. Absent: PRISM_CONFIG's; if that is not set, none. */
  readonly file?: string | undefined;
  readonly env: Env;
  readonly flags: Flags;
  /**
   * An absolute folder. The file's name starts here, and so do relative folders in flags and
   * variables. Without a file relative names do too.
   */
  readonly cwd: string;
  /** False skips certificates, keys and the places of databases. Absent = true. */
  readonly checkFiles?: boolean;
  /** Stands for the text of the file, which is not read then. */
  readonly text?: string | undefined;
  /** False refuses a file with nothing in it, which is a configuration too. Absent = true. */
  readonly mayBeEmpty?: boolean;
}

/**
 * Reads, checks and compiles the configuration. A flag wins over a variable, that over the file,
 * and that over the default. The whole file is checked, including overridden settings and the
 * certificates and keys that it names. Opens no store and no port.
 *
 * @throws {ConfigError} with all problems.
 */
export function loadConfig(options: LoadOptions): Config {
  const { file: fileGiven, env, flags, cwd, checkFiles = true } = options;
  const problems: Problem[] = [];
  const overrides = readOverrides(env, flags, cwd, problems);
  const file = fileGiven ?? configFileOf(env);
  const path = file === undefined ? undefined : resolve(cwd, file);
  const document =
    file === undefined || path === undefined ? undefined : openDocument(file, path, options, problems);

  const checked = check(configSchema, document?.value ?? {}, document?.sourceOf);
  if (document !== undefined && file !== undefined) {
    tell(problems, file, document, [
      ...(checked.ok ? [] : checked.findings),
      ...checkNames(document.value, document.sourceOf),
    ]);
  }
  if (!checked.ok || problems.length > 0) {
    throw new ConfigError(problems);
  }
  const config = compile(checked.value, overrides, path, path === undefined ? cwd : dirname(path));
  tell(problems, file, document, checkFiles ? crossCheck(config) : []);
  if (problems.length > 0) {
    throw new ConfigError(problems);
  }
  return config;
}

/**
 * Adds findings with their places in the file, at most one for each setting: an unreadable setting
 * is not also missing.
 */
function tell(
  problems: Problem[],
  file: string | undefined,
  document: ConfigDocument | undefined,
  findings: readonly Finding[],
): void {
  const seen = new Set(
    problems.filter((problem) => problem.file !== undefined).map((problem) => problem.path),
  );
  for (const { path, message } of findings) {
    const rendered = renderPath(path);
    if (!seen.has(rendered)) {
      seen.add(rendered);
      const { line, column } = document?.placeOf(path) ?? { line: undefined, column: undefined };
      problems.push({ file, line, column, path: rendered, message });
    }
  }
}

function openDocument(
  file: string,
  path: string,
  { env, text: given, mayBeEmpty = true }: LoadOptions,
  problems: Problem[],
): ConfigDocument | undefined {
  const refuse = (message: string) => {
    problems.push({ file, line: undefined, column: undefined, path: "", message });
    return undefined;
  };
  const read = given === undefined ? readConfigFile(path) : { text: given };
  if ("error" in read) {
    return refuse(read.error);
  }
  if (!mayBeEmpty && read.text.trim() === "") {
    return refuse("empty, as a file is while it is written; {} stands for a configuration of defaults");
  }
  return readDocument(read.text, file, env, problems);
}

/** The text of a configuration file, or an error in the operator's words. */
export function readConfigFile(path: string): { readonly text: string } | { readonly error: string } {
  const read = readFileAtMost(path, MAX_CONFIG_FILE_BYTES);
  if ("error" in read) {
    return read;
  }
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(read.bytes) };
  } catch {
    return { error: "not UTF-8 text" };
  }
}
