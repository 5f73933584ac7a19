import { spawn } from "node:child_process";
import { afterAll, beforeAll } from "vitest";
import { folderOnPath } from "./child.ts";
import { isThere } from "./is-there.ts";
import { MAIN, type Outcome, prism, type ServerProcess, spawnServer } from "./process.ts";

/** Each command is a process of its own, and takes seconds on a busy machine. */
export const SLOW = { timeout: 300_000 };

/** How a command ends that did its work and printed `stdout`. */
export function done(stdout: string): Outcome {
  return { code: 0, stdout, stderr: "" };
}

/** Whether there can be a terminal; reports it if not. `script` is part of util-linux. */
export const hasTerminals = () =>
  isThere("script", folderOnPath(["script"]) !== undefined, "Debian: apt-get install bsdutils");

/** A gateway with its data in memory, and commands that call it. */
export interface CommandGateway {
  /** There from the first test on. */
  readonly server: ServerProcess;
  /** Runs `prism` with the words of a line, and `input` on its standard input. */
  run(line: string, input?: string | Uint8Array): Promise<Outcome>;
  /** What `prism` writes to a terminal. Only if {@link hasTerminals}. */
  shown(line: string): Promise<string>;
}

/** A gateway for all tests of a file: it runs from before the first until after the last. */
export function useGateway(): CommandGateway {
  let started: ServerProcess | undefined;
  const gateway: CommandGateway = {
    get server() {
      if (started === undefined) {
        throw new Error("the gateway starts with the first test");
      }
      return started;
    },
    run: (line, input) => prism(line.split(" "), { PRISM_ADDRESS: gateway.server.address }, input),
    async shown(line) {
      const command = `"${process.execPath}" "${MAIN}" ${line} --address ${gateway.server.address}`;
      const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["ignore", "pipe", "inherit"] });
      return Buffer.concat(await Array.fromAsync(child.stdout)).toString();
    },
  };
  beforeAll(async () => {
    started = await spawnServer(["--memory"]);
  }, SLOW.timeout);
  afterAll(() => started?.[Symbol.asyncDispose]());
  return gateway;
}
