import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** A running program. */
export interface Child {
  readonly process: ChildProcess;
  /** Rejects with the program's output if it ends first. */
  readonly ready: Promise<void>;
  /** Resolves when the program is gone, however it ended. */
  readonly exited: Promise<void>;
}

/** A user for programs that refuse to run as root: "nobody" on every Linux. */
export const NOBODY = 65534;

/** The first folder of the path, or of `more`, with all of these programs; `undefined` = none. */
export function folderOnPath(programs: readonly string[], more: readonly string[] = []): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...more];
  return folders.find((folder) => programs.every((program) => existsSync(join(folder, program))));
}

/** Starts a program. It is ready when it prints a line with `readyText`. */
export function spawnChild(
  readyText: string,
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "uid" | "gid" | "cwd" | "env"> = {},
): Child {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const gone = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  let isReady = false;
  // Read to the end, because a full pipe would stop the program.
  const onLine = (line: string) => {
    if (isReady) {
      return;
    }
    lines.push(line);
    isReady = line.includes(readyText);
    if (isReady) {
      ready.resolve();
    }
  };
  createInterface(child.stdout).on("line", onLine);
  createInterface(child.stderr).on("line", onLine);
  child.once("exit", () => gone.resolve());
  child.once("error", (error) => {
    gone.resolve();
    ready.reject(error);
  });
  child.once("close", () => ready.reject(new Error(`${program} ended: ${lines.join("\n")}`)));
  return { process: child, ready: ready.promise, exited: gone.promise };
}
