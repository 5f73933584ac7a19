import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

/** Servers run on one core and their load on another, if there are two cores and `taskset`. */
const CAN_PIN = availableParallelism() >= 2 && spawnSync("taskset", ["--version"]).status === 0;
const CORES = { server: "0", load: "1", any: "0,1" } as const;
/** The core of a process; `any` = both. */
export type Core = keyof typeof CORES;

/** The layout of the processes, for the report. */
export const LAYOUT = CAN_PIN ? "server on one core, load on another" : "server and load share the cores";

/** Moves this process to the core of the load. */
export function pinThisProcess(): void {
  if (CAN_PIN) {
    spawnSync("taskset", ["--all-tasks", "--pid", "--cpu-list", CORES.load, String(process.pid)]);
  }
}

/** A server under load, in its own process. */
export interface Peer extends AsyncDisposable {
  readonly pid: number;
  readonly port: number;
}

/**
 * Starts a server, by default on the server's core. `portOf` finds its port in the line of output
 * that says it is ready. Throws with the output if it ends first.
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

/** Runs a load program, by default on the load's core. Answers its output. */
export async function runLoad(
  command: string,
  args: readonly string[],
  core: Core = "load",
): Promise<string> {
  const { stdout } = CAN_PIN
    ? await run("taskset", ["--cpu-list", CORES[core], command, ...args], { maxBuffer: 2 ** 28 })
    : await run(command, [...args], { maxBuffer: 2 ** 28 });
  return stdout;
}

/** Whether a program is there; prints how to get it if not. */
export function isThere(program: string, debianPackage: string): boolean {
  const there = spawnSync(program, ["--version"]).error === undefined;
  if (!there) {
    console.error(`${program} is missing: apt-get install ${debianPackage} (or what your system calls it)`);
  }
  return there;
}
