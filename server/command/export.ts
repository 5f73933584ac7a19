import { type DumpOutput, openDump, STANDARD_OUTPUT } from "./dump-file.ts";
import { entryLine, LineError, listLine, parseLine } from "./dump-line.ts";
import type { DataCall } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { textOption } from "./options.ts";
import { Progress } from "./progress.ts";

/** `export [FILE]` */
export async function exportAll(call: DataCall): Promise<ExitCode> {
  const { args, options } = call;
  const resumes = options.resume === true;
  const list = textOption(options, "list");
  if (list !== undefined && (resumes || textOption(options, "prefix") !== undefined)) {
    throw new CommandError(EXIT.misused, "--list goes neither with --prefix nor with --resume");
  }
  const [path = "-"] = args;
  if (path === "-" && resumes) {
    throw new CommandError(EXIT.misused, "--resume needs a FILE");
  }
  const output = path === "-" ? STANDARD_OUTPUT : await openDump(path, resumes);
  try {
    await (list === undefined
      ? exportEntries(call, output, lastKey(path, output))
      : exportList(call, output, list));
    await output.end();
  } finally {
    await output.close();
  }
  return EXIT.done;
}

/** The key that a file ends with; `undefined` = it is empty. Throws {@link CommandError}. */
function lastKey(path: string, { lastLine }: DumpOutput): string | undefined {
  try {
    const last = lastLine === undefined ? undefined : parseLine(lastLine);
    if (last !== undefined && "list" in last) {
      throw new LineError("it is one of a list");
    }
    return last?.key;
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

/** A line of a list ends with the value that takes it to so many values or bytes. */
const LINE_VALUES = 1000;
const LINE_BYTES = 256 * 1024;

/** Writes all values of a list. Throws {@link CommandError} if it has none. */
async function exportList({ client }: DataCall, output: DumpOutput, list: string): Promise<void> {
  const progress = new Progress("values");
  let values: Uint8Array[] = [];
  let bytes = 0;
  let lines = 0;
  const send = async () => {
    await output.write(listLine(list, values, lines > 0));
    progress.add(values.length);
    lines++;
    values = [];
    bytes = 0;
  };
  try {
    for await (const value of client.list.range(list)) {
      values.push(value);
      bytes += value.length;
      if (values.length === LINE_VALUES || bytes >= LINE_BYTES) {
        await send();
      }
    }
    if (values.length > 0) {
      await send();
    }
  } finally {
    progress.end();
  }
  if (lines === 0) {
    throw new CommandError(EXIT.notFound, `the list is empty: ${list}`);
  }
}
