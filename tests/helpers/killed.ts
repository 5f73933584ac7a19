import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/**
 * Runs a program in a process of its own, and kills it with SIGKILL after so many
 * answers. Returns all answers: what it sent to this process.
 */
export async function answersUntilKilled<Answer>(
  program: URL,
  argument: string,
  killAt: number,
): Promise<readonly Answer[]> {
  const child = spawn(process.execPath, [fileURLToPath(program), argument], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const answers: Answer[] = [];
  child.on("message", (answer: Answer) => {
    if (answers.push(answer) === killAt) {
      child.kill("SIGKILL");
    }
  });
  const [, signal] = await once(child, "close");
  expect(signal).toBe("SIGKILL");
  return answers;
}
