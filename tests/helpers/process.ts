import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The program's main file. */
export const MAIN = fileURLToPath(new URL("../../server/main.ts", import.meta.url));
const LAUNCHER = fileURLToPath(new URL("../../server/prism.cts", import.meta.url));

const FIRST_LINE = (/^#!.*/.exec(readFileSync(LAUNCHER, "utf8"))?.[0] ?? "").split(" ");

/** Node's flags, as the program's first line gives them. */
export const NODE_FLAGS: readonly string[] = FIRST_LINE.filter((word) => word.startsWith("--"));

/** The environment variables from that line, as `NAME=value`. */
export const NODE_VARIABLES: readonly string[] = FIRST_LINE.filter((word) => word.includes("=")).filter(
  (word) => !word.startsWith("--"),
);

/** The environment of a program that is started like `prism`. */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ...Object.fromEntries(NODE_VARIABLES.map((each) => each.split("="))) };
}

/** How a run of `prism` ended. */
export interface Outcome<Output = string> {
  readonly code: number;
  readonly stdout: Output;
  readonly stderr: string;
}

/** Runs `prism` to its end, with `input` on its standard input. */
export async function prism(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input: string | Uint8Array = "",
): Promise<Outcome> {
  const outcome = await prismBytes(args, env, input);
  return { ...outcome, stdout: outcome.stdout.toString() };
}

/** As {@link prism}, with the bytes of its standard output. */
export function prismBytes(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  input: string | Uint8Array = "",
): Promise<Outcome<Buffer>> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { env: { ...process.env, ...env }, encoding: "buffer", maxBuffer: 64 * 1024 * 1024 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr: stderr.toString() }),
    );
    // A program that reads nothing may be gone by now.
    child.stdin?.on("error", () => {}).end(input);
  });
}

/** `prism` in its own process. Disposing kills it. */
export interface ServerProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** `127.0.0.1:PORT` of the data plane. */
  readonly address: string;
  /** `http://127.0.0.1:PORT` of the admin plane. */
  readonly adminUrl: string;
  /** Milliseconds from start to ready. */
  readonly readyMs: number;
  /** Every line of standard output so far. */
  readonly lines: readonly string[];
  /** Resolves with the exit code, or with the name of the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
}

/**
 * Runs `prism serve` with `args` on free ports of loopback and waits until it is ready. `nodeFlags`
 * are added to Node's usual ones; `node` runs it; `env` has further variables. Throws
 * with its output if it ends first.
 */
export async function spawnServer(
  args: readonly string[],
  main = MAIN,
  nodeFlags: readonly string[] = [],
  node = process.execPath,
  env: NodeJS.ProcessEnv = {},
): Promise<ServerProcess> {
  const startedAtMs = performance.now();
  const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  const child = spawn(node, [...NODE_FLAGS, ...nodeFlags, main, "serve", ...ports, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...nodeEnvironment(), ...env },
  });
  const exited = once(child, "exit").then(([code, signal]) => code ?? signal);
  const lines: string[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const ready = new Promise<{ readonly listen: string; readonly admin_listen: string }>((resolve, reject) => {
    createInterface(child.stdout).on("line", (line) => {
      lines.push(line);
      if (line.includes('"msg":"ready"')) {
        resolve(JSON.parse(line));
      }
    });
    exited.then((code) => reject(new Error(`prism ended with ${code}: ${errors}${lines.join("\n")}`)));
  });
  const { listen, admin_listen: admin } = await ready;
  return {
    child,
    address: listen,
    adminUrl: `http://${admin}`,
    readyMs: performance.now() - startedAtMs,
    lines,
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Whether there is a process with this id. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A temporary folder. Disposing removes it. */
export async function temporaryFolder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "prism-"));
  // A browser's processes may write to its profile for a moment after it has ended.
  const options = { recursive: true, force: true, maxRetries: 10 };
  return { path, [Symbol.asyncDispose]: () => rm(path, options) };
}
