import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";

/** A program that runs. */
export interface Child {
  readonly process: ChildProcess;
  /** Rejects with what it printed if it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it is gone, however it ended. */
  readonly exited: Promise<void>;
}

/** Programs that refuse to run as root can be started as this. It is "nobody" on every Linux. */
export const NOBODY = 65534;

/** The first folder of the path, or of `more`, that has all of these programs; `undefined` = none has. */
export function folderOnPath(programs: readonly string[], more: readonly string[] = []): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), ...more];
  return folders.find((folder) => programs.every((program) => existsSync(join(folder, program))));
}

/** Starts a program, which is ready when it prints a line with `readyText` in it. */
export function spawnChild(
  readyText: string,
  program: string,
  args: readonly string[],
  options: Pick<SpawnOptions, "uid" | "gid" | "cwd"> = {},
): Child {
  const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  const gone = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  const lines: string[] = [];
  let isReady = false;
  // Read to the end, since a pipe that is full would stop the program.
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
