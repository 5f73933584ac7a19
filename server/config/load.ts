import { closeSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { check } from "./check.ts";
import { type Config, compile } from "./config.ts";
import { type ConfigDocument, readDocument } from "./document.ts";
import { checkNames } from "./names.ts";
import { ConfigError, type Problem, renderPath } from "./problem.ts";
import { configSchema } from "./schema.ts";
import { configFileOf, type Env, type Flags, readOverrides } from "./settings.ts";

/** Largest configuration file. */
export const MAX_CONFIG_FILE_BYTES = 1024 * 1024;

/** Where {@link loadConfig} looks. */
export interface LoadOptions {
  /** The file, as the operator named it. Absent: the one of PRISM_CONFIG, else none. */
  readonly file?: string | undefined;
  readonly env: Env;
  readonly flags: Flags;
  /** Absolute. Where the file, and relative folders in flags and variables, start; without a file relative names too. */
  readonly cwd: string;
}

/**
 * Reads, checks and compiles the configuration: flag over environment variable over file over default.
 * The file is checked whole, also what something stronger overrides. Opens no store and reads no certificate.
 *
 * @throws {ConfigError} with every problem there is.
 */
export function loadConfig({ file: fileGiven, env, flags, cwd }: LoadOptions): Config {
  const problems: Problem[] = [];
  const overrides = readOverrides(env, flags, cwd, problems);
  const file = fileGiven ?? configFileOf(env);
  const path = file === undefined ? undefined : resolve(cwd, file);
  const document =
    file === undefined || path === undefined ? undefined : openDocument(file, path, env, problems);

  const checked = check(configSchema, document?.value ?? {}, document?.sourceOf);
  if (document !== undefined) {
    const findings = [
      ...(checked.ok ? [] : checked.findings),
      ...checkNames(document.value, document.sourceOf),
    ];
    // One problem per setting: what could not be read at all is not also missing.
    const seen = new Set(
      problems.filter((problem) => problem.file !== undefined).map((problem) => problem.path),
    );
    for (const { path: setting, message } of findings) {
      const rendered = renderPath(setting);
      if (seen.has(rendered)) {
        continue;
      }
      seen.add(rendered);
      const { line, column } = document.placeOf(setting);
      problems.push({ file, line, column, path: rendered, message });
    }
  }
  if (!checked.ok || problems.length > 0) {
    throw new ConfigError(problems);
  }
  return compile(checked.value, overrides, path, path === undefined ? cwd : dirname(path));
}

function openDocument(file: string, path: string, env: Env, problems: Problem[]): ConfigDocument | undefined {
  const refuse = (message: string) => {
    problems.push({ file, line: undefined, column: undefined, path: "", message });
    return undefined;
  };
  let bytes: Uint8Array;
  try {
    bytes = readAtMost(path, MAX_CONFIG_FILE_BYTES + 1);
  } catch (error) {
    return refuse(readFailure(error));
  }
  if (bytes.length > MAX_CONFIG_FILE_BYTES) {
    return refuse(`larger than ${MAX_CONFIG_FILE_BYTES} bytes`);
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return refuse("not UTF-8 text");
  }
  return readDocument(text, file, env, problems);
}

/** Reads a file or a pipe (`--config <(...)`), whose size nothing tells in advance. */
function readAtMost(path: string, maxBytes: number): Uint8Array {
  const buffer = new Uint8Array(maxBytes);
  const descriptor = openSync(path, "r");
  try {
    let length = 0;
    while (length < maxBytes) {
      const count = readSync(descriptor, buffer, length, maxBytes - length, null);
      if (count === 0) {
        break;
      }
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

function readFailure(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "no such file";
    case "EISDIR":
      return "a folder, not a file";
    case "EACCES":
    case "EPERM":
      return "no permission to read it";
    default:
      return `cannot be read (${code ?? "unknown error"})`;
  }
}
