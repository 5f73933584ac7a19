import { type FileHandle, open } from "node:fs/promises";
import { MAX_LINE_BYTES } from "./dump-line.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { write } from "./output.ts";

/** Where an export goes. */
export interface DumpOutput {
  /** The last line that is there already, without its line feed; `undefined` = none. */
  readonly lastLine: string | undefined;
  write(text: string): Promise<void>;
  /** What was written is on the disk then. */
  end(): Promise<void>;
  close(): Promise<void>;
}

/** Standard output. */
export const STANDARD_OUTPUT: DumpOutput = {
  lastLine: undefined,
  write,
  end: async () => {},
  close: async () => {},
};

/**
 * A new file; with `resumes` also one that is there: its last line is removed if it is not whole.
 * Throws {@link CommandError}.
 */
export async function openDump(path: string, resumes: boolean): Promise<DumpOutput> {
  let file: FileHandle;
  try {
    // Made if absent; never emptied.
    file = await open(path, resumes ? "a+" : "ax+", 0o600);
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    const message = isThere ? `${path} is there already; --resume goes on where it ends` : toMessage(error);
    throw new CommandError(EXIT.misused, message, error);
  }
  try {
    const lastLine = resumes ? await keepWholeLines(file, path) : undefined;
    return {
      lastLine,
      write: (text) => file.appendFile(text),
      end: () => file.sync(),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const LINE_FEED = 0x0a;
const STEP_BYTES = 1024 * 1024;

/** Cuts off what stands behind the last line feed. Answers the line before it. */
async function keepWholeLines(file: FileHandle, path: string): Promise<string | undefined> {
  const { size } = await file.stat();
  let tail = Buffer.alloc(0);
  for (let at = size; at > 0; ) {
    const step = Buffer.alloc(Math.min(STEP_BYTES, at));
    at -= step.length;
    await file.read(step, 0, step.length, at);
    tail = Buffer.concat([step, tail]);
    const end = tail.lastIndexOf(LINE_FEED);
    const start = end <= 0 ? -1 : tail.lastIndexOf(LINE_FEED, end - 1);
    if (end >= 0 && (start >= 0 || at === 0)) {
      await file.truncate(at + end + 1);
      return tail.toString("utf8", start + 1, end);
    }
    if (tail.length > 2 * MAX_LINE_BYTES) {
      throw new CommandError(EXIT.misused, `${path} does not end with lines of an export`);
    }
  }
  await file.truncate(0);
  return undefined;
}
