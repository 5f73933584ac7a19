import { type DumpOutput, openDump, STANDARD_OUTPUT } from "./dump-file.ts";
import { entryLine, LineError, parseLine } from "./dump-line.ts";
import type { DataCall } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { textOption } from "./options.ts";
import { Progress } from "./progress.ts";

/** `export [FILE]` */
export async function exportAll(call: DataCall): Promise<ExitCode> {
  const { args, options } = call;
  const resumes = options.resume === true;
  const [path = "-"] = args;
  if (path === "-" && resumes) {
    throw new CommandError(EXIT.misused, "--resume needs a FILE");
  }
  const output = path === "-" ? STANDARD_OUTPUT : await openDump(path, resumes);
  try {
    await exportEntries(call, output, lastKey(path, output));
    await output.end();
  } finally {
    await output.close();
  }
  return EXIT.done;
}

/** The key that a file ends with. Throws {@link CommandError}. */
function lastKey(path: string, { lastLine }: DumpOutput): string | undefined {
  try {
    return lastLine === undefined ? undefined : parseLine(lastLine).key;
  } catch (error) {
    if (error instanceof LineError) {
      const message = `${path} does not end with a line of an export: ${error.message}`;
      throw new CommandError(EXIT.misused, message, error);
    }
    throw error;
  }
}

/** Writes the entries behind a key; `undefined` = all. */
async function exportEntries(
  { client, options }: DataCall,
  output: DumpOutput,
  after: string | undefined,
): Promise<void> {
  const prefix = textOption(options, "prefix");
  // A store that cannot count in time shows no bar. What a resumed export has to do is not known.
  const total =
    Progress.isShown && after === undefined
      ? await client.keyvalue.count(prefix).catch(() => undefined)
      : undefined;
  const progress = new Progress("entries");
  let done = 0;
  try {
    for await (const entries of client.keyvalue.pages({ prefix, start: after })) {
      const nowMs = Date.now();
      let text = "";
      for (const { key, value, ttlMs } of entries) {
        if (key !== after) {
          text += entryLine(key, value, ttlMs === undefined ? undefined : nowMs + ttlMs);
        }
      }
      await output.write(text);
      done += entries.length;
      progress.add(entries.length, total && done / total);
    }
  } finally {
    progress.end();
  }
}
