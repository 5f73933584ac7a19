import { join, resolve } from "node:path";
import { z } from "zod";
import { type BackendConfig, backendSchema } from "../backend/rooms.ts";
import { check } from "./check.ts";
import type { Overrides } from "./config.ts";
import type { Problem } from "./problem.ts";
import { addressSchema, logFormatSchema, logLevelSchema, portSchema } from "./schema.ts";

/** A setting that can be given outside the file. */
export interface Setting<T = unknown> {
  /** The command-line flag with its dashes; `undefined` = there is none. */
  readonly flag: string | undefined;
  /** The environment variable. Empty counts as not set. */
  readonly env: string;
  /** What stands for the flag's value in the help text; "" = the flag takes none. */
  readonly argument: string;
  /** For the help text: what it does, and its default. */
  readonly help: string;
  readonly schema: z.ZodType<T>;
}

/** Every setting that has a flag or a variable: flag over environment variable over file. */
export const SETTINGS = {
  config: {
    flag: "--config",
    env: "PRISM_CONFIG",
    argument: "FILE",
    help: "configuration file (YAML); without one everything has its default",
    schema: z.string(),
  },
  listen: {
    flag: "--listen",
    env: "PRISM_LISTEN",
    argument: "HOST:PORT",
    help: "server.listen_address: the data plane; port 0 picks a free one (default 0.0.0.0:8980)",
    schema: addressSchema,
  },
  port: {
    flag: "--port",
    env: "PRISM_PORT",
    argument: "PORT",
    help: "the port of server.listen_address alone, on the host that it says",
    schema: portSchema,
  },
  adminListen: {
    flag: "--admin-listen",
    env: "PRISM_ADMIN_LISTEN",
    argument: "HOST:PORT",
    help: "admin.listen_address: the admin plane (default 127.0.0.1:8090)",
    schema: addressSchema,
  },
  dataDir: {
    flag: "--data-dir",
    env: "PRISM_DATA_DIR",
    argument: "DIR",
    help: "database: SQLite in DIR/prism.db (default ./data)",
    schema: z.string().min(1),
  },
  memory: {
    flag: "--memory",
    env: "PRISM_MEMORY",
    argument: "",
    help: "database: in memory, gone at exit (variable: 1 or true, 0 or false)",
    schema: z.enum(["1", "true", "0", "false"]).transform((text) => text === "1" || text === "true"),
  },
  logLevel: {
    flag: undefined,
    env: "PRISM_LOG_LEVEL",
    argument: "",
    help: "logging.level: trace, debug, info, warn, error or silent (default info)",
    schema: logLevelSchema,
  },
  logFormat: {
    flag: undefined,
    env: "PRISM_LOG_FORMAT",
    argument: "",
    help: "logging.format: auto, json or pretty (default auto: pretty on a terminal)",
    schema: logFormatSchema,
  },
} as const satisfies Record<string, Setting>;

/** Environment variables, as `process.env` has them. */
export type Env = Readonly<Record<string, string | undefined>>;

/** What the flags of `prism serve` said, as text; `--config` apart. */
export interface Flags {
  readonly listen?: string;
  readonly port?: string;
  readonly adminListen?: string;
  readonly dataDir?: string;
  readonly memory?: boolean;
}

/** The file that PRISM_CONFIG names, or `undefined`. */
export function configFileOf(env: Env): string | undefined {
  return env[SETTINGS.config.env] || undefined;
}

/**
 * Reads and checks flags and environment variables; every one that is given is checked, also where a stronger one
 * wins. Relative folders start at `cwd`. What is wrong goes to `problems`, by flag or variable and without its value.
 */
export function readOverrides(env: Env, flags: Flags, cwd: string, problems: Problem[]): Overrides {
  const flagTexts = {
    "--listen": flags.listen,
    "--port": flags.port,
    "--admin-listen": flags.adminListen,
    "--data-dir": flags.dataDir,
    "--memory": flags.memory === true ? "true" : undefined,
  };
  const set = Object.fromEntries(Object.entries(env).filter(([, text]) => text !== ""));
  const fromFlags = readSource(flagTexts, "flag", cwd, problems);
  const fromEnv = readSource(set, "env", cwd, problems);
  return {
    listen: fromFlags.listen ?? fromEnv.listen,
    port: fromFlags.port ?? (fromFlags.listen === undefined ? fromEnv.port : undefined),
    adminListen: fromFlags.adminListen ?? fromEnv.adminListen,
    database: fromFlags.database ?? fromEnv.database,
    logLevel: fromFlags.logLevel ?? fromEnv.logLevel,
    logFormat: fromFlags.logFormat ?? fromEnv.logFormat,
  };
}

function readSource(texts: Env, kind: "flag" | "env", cwd: string, problems: Problem[]): Overrides {
  const refuse = (path: string, message: string) =>
    problems.push({ file: undefined, line: undefined, column: undefined, path, message });

  function read<T>(setting: Setting<T>): T | undefined {
    const label = setting[kind];
    const text = label === undefined ? undefined : texts[label];
    if (label === undefined || text === undefined) {
      return undefined;
    }
    const checked = check(setting.schema, text);
    if (checked.ok) {
      return checked.value;
    }
    for (const { message } of checked.findings) {
      refuse(label, message);
    }
    return undefined;
  }

  const memory = read(SETTINGS.memory);
  const dataDir = read(SETTINGS.dataDir);
  if (memory === true && dataDir !== undefined) {
    refuse(
      SETTINGS.memory[kind],
      `cannot be combined with ${SETTINGS.dataDir[kind]}: both say where data goes`,
    );
  }
  const listen = read(SETTINGS.listen);
  const port = read(SETTINGS.port);
  if (listen !== undefined && port !== undefined) {
    refuse(SETTINGS.port[kind], `cannot be combined with ${SETTINGS.listen[kind]}: both name the port`);
  }
  return {
    listen,
    port,
    adminListen: read(SETTINGS.adminListen),
    database: memory === true ? MEMORY : dataDir === undefined ? undefined : sqliteIn(resolve(cwd, dataDir)),
    logLevel: read(SETTINGS.logLevel),
    logFormat: read(SETTINGS.logFormat),
  };
}

const MEMORY: BackendConfig = backendSchema.parse({ type: "memory" });

function sqliteIn(folder: string): BackendConfig {
  return backendSchema.parse({ type: "sqlite", path: join(folder, "prism.db") });
}
