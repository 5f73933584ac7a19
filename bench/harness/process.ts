import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** Servers run on one core and what loads them on another, where there are two and `taskset` to keep them apart. */
const CAN_PIN = availableParallelism() >= 2 && spawnSync("taskset", ["--version"]).status === 0;
const CORES = { server: "0", load: "1" } as const;
/** Where a process runs. */
export type Core = keyof typeof CORES;

/** How processes are laid out, for the report. */
export const LAYOUT = CAN_PIN ? "server on one core, load on another" : "server and load share the cores";

/** Keeps this process on the core of the load. */
export function pinThisProcess(): void {
  if (CAN_PIN) {
    spawnSync("taskset", ["--all-tasks", "--pid", "--cpu-list", CORES.load, String(process.pid)]);
  }
}

/** A server under load, in a process of its own. */
export interface Peer extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/**
 * Starts a server, on the server's core unless told otherwise; `portOf` finds in a line of its output that it is ready, and where. Throws with what it said if
 * it ends before.
 */
export async function startPeer(
  command: string,
  args: readonly string[],
  portOf: (line: string) => number | undefined,
  env: NodeJS.ProcessEnv = {},
  core: Core = "server",
): Promise<Peer> {
  const child = CAN_PIN
    ? spawn("taskset", ["--cpu-list", CORES[core], command, ...args], { env: { ...process.env, ...env } })
    : spawn(command, [...args], { env: { ...process.env, ...env } });
  const exited = once(child, "exit");
  const port = await readyPort(child, exited, portOf);
  return {
    pid: child.pid ?? 0,
    port,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function readyPort(
  child: ChildProcess,
  exited: Promise<unknown>,
  portOf: (line: string) => number | undefined,
): Promise<number> {
  const said: string[] = [];
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => said.push(text));
    if (child.stdout !== null) {
      createInterface(child.stdout).on("line", (line) => {
        said.push(line);
        const port = portOf(line);
        if (port !== undefined) {
          resolve(port);
        }
      });
    }
    exited.then(() => reject(new Error(`a peer ended before it was ready: ${said.join("\n")}`)));
  });
}

const run = promisify(execFile);

/** Runs a program that makes load, on the load's core; answers what it printed. */
export async function runLoad(command: string, args: readonly string[]): Promise<string> {
  const { stdout } = CAN_PIN
    ? await run("taskset", ["--cpu-list", CORES.load, command, ...args], { maxBuffer: 2 ** 28 })
    : await run(command, [...args], { maxBuffer: 2 ** 28 });
  return stdout;
}

/** Whether a program is there; if not, says how to get it. */
export function isThere(program: string, debianPackage: string): boolean {
  const there = spawnSync(program, ["--version"]).error === undefined;
  if (!there) {
    console.error(`${program} is missing: apt-get install ${debianPackage} (or what your system calls it)`);
  }
  return there;
}
