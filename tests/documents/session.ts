import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { isRunning } from "../helpers/process.ts";
import { until } from "../helpers/until.ts";

/** Far more than any command takes on a busy machine. */
const COMMAND_TIMEOUT_MS = 60_000;

/** A command that runs a gateway until somebody stops it. */
const SERVES = /^(?:make run\b|(?:npm run --silent prism --|prism) serve\b)/;

/** How a command ended. */
export interface Ran {
  readonly code: number;
  /** What it printed, or the messages on its standard error if it printed nothing. */
  readonly printed: string;
}

/** One bash, as a reader has it: variables, aliases and the current folder stay. */
export interface Session extends AsyncDisposable {
  /** Whether a gateway was started. */
  readonly serves: boolean;
  /**
   * Runs a command to its end. One that runs a gateway is run beside the session, and has ended
   * "run" when it is ready. Without "&" it takes the place of the one before, as in a terminal.
   */
  run(command: string): Promise<Ran>;
}

/** Starts a session in a folder, whose folder `.session` it may use. */
export function startSession(folder: string, env: NodeJS.ProcessEnv): Session {
  const bash = spawn("bash", [], { cwd: folder, env, stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface(bash.stdout)[Symbol.asyncIterator]();
  let count = 0;
  let foreground: string | undefined;
  const gateways: number[] = [];
  // Each job is a group of its own, which a signal reaches whole. What is left ends with bash,
  // also if the tests are killed: then its standard input ends.
  bash.stdin.write(`set -m; shopt -s expand_aliases
    stop() { kill -TERM -- "-$1" 2>/dev/null; wait "$1"; }
    trap 'for job in $(jobs -p); do stop $job; done' EXIT\n`);

  async function answer(): Promise<string> {
    const late = setTimeout(() => bash.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
    try {
      const { value, done } = await lines.next();
      if (done === true) {
        throw new Error("the shell ended, or was ended for a command that takes too long");
      }
      return value;
    } finally {
      clearTimeout(late);
    }
  }

  async function serve(command: string): Promise<Ran> {
    const inBackground = command.endsWith("&");
    if (!inBackground && foreground !== undefined) {
      bash.stdin.write(`stop ${foreground} >/dev/null; echo stopped\n`);
      await answer();
    }
    const name = join(folder, `.session/${count++}`);
    await writeFile(name, `${command.replace(/\s*&$/, "")}\n`);
    const log = `${name}.log`;
    await writeFile(log, "");
    bash.stdin.write(`. '${name}' >'${log}' 2>&1 </dev/null & echo $!\n`);
    const pid = await answer();
    gateways.push(Number(pid));
    foreground = inBackground ? foreground : pid;
    const isReady = async () => (await readFile(log, "utf8")).includes('"msg":"ready"');
    const isDecided = async () => (await isReady()) || !isRunning(Number(pid));
    await until(`\`${command}\` is ready`, isDecided, COMMAND_TIMEOUT_MS);
    return (await isReady()) ? { code: 0, printed: "" } : { code: 1, printed: await readFile(log, "utf8") };
  }

  async function run(command: string): Promise<Ran> {
    if (SERVES.test(command)) {
      return await serve(command);
    }
    const name = join(folder, `.session/${count++}`);
    await writeFile(name, `${command}\n`);
    bash.stdin.write(`. '${name}' >'${name}.out' 2>'${name}.err' </dev/null; echo $?\n`);
    const code = Number(await answer());
    const [out, errors] = await Promise.all([
      readFile(`${name}.out`, "utf8"),
      readFile(`${name}.err`, "utf8"),
    ]);
    return { code, printed: out === "" || code !== 0 ? out + errors : out };
  }

  return {
    get serves() {
      return gateways.length > 0;
    },
    run,
    async [Symbol.asyncDispose]() {
      await end(bash);
      // Where bash had to be killed they are left.
      for (const pid of gateways.filter(isRunning)) {
        process.kill(-pid, "SIGKILL");
      }
    },
  };
}

async function end(bash: ChildProcess): Promise<void> {
  const late = setTimeout(() => bash.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
  if (bash.exitCode === null && bash.signalCode === null) {
    bash.stdin?.end();
    await once(bash, "exit");
  }
  clearTimeout(late);
}
