import { createReadStream, ReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { LineError, MAX_LINE_BYTES, parseLine } from "./dump-line.ts";
import { DumpWriter } from "./dump-writer.ts";
import { type DataCall, printFact } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { numberOption } from "./options.ts";
import { Progress } from "./progress.ts";
import { readLines } from "./read-lines.ts";

/** `import [FILE]` */
export async function importAll({ client, args: [path = "-"], options }: DataCall): Promise<ExitCode> {
  const fromLine = numberOption(options, "from-line") ?? 1;
  const totalBytes = path === "-" ? undefined : await sizeOf(path);
  const input = path === "-" ? process.stdin : createReadStream(path, { highWaterMark: 256 * 1024 });
  const writer = new DumpWriter(client);
  try {
    await writeLines(input, fromLine, totalBytes, writer);
  } catch (error) {
    if (writer.goOnAt !== undefined) {
      process.stderr.write(
        `prism: lines before ${writer.goOnAt} are imported; go on with --from-line ${writer.goOnAt}\n`,
      );
    }
    throw error;
  }
  const { entries, lists, records, expired } = writer;
  const more = expired === 0 ? "" : `, and ${expired} had expired`;
  const told = `${entries} entries, ${lists} lists, ${records} records${more}`;
  await printFact({ entries, lists, records, expired }, told, options);
  return EXIT.done;
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    throw new CommandError(EXIT.misused, error instanceof Error ? error.message : String(error), error);
  }
}

/** Writes all lines. Before it throws for a bad line, those before it are written. */
async function writeLines(
  input: AsyncIterable<Buffer>,
  fromLine: number,
  totalBytes: number | undefined,
  writer: DumpWriter,
): Promise<void> {
  const progress = new Progress("lines");
  let number = 0;
  try {
    for await (const lines of readLines(input, MAX_LINE_BYTES)) {
      for (const text of lines) {
        number++;
        if (number < fromLine || text === "") {
          continue;
        }
        const written = writer.add(number, parseLine(text ?? unreadable()));
        if (written !== undefined) {
          await written;
        }
      }
      const part = totalBytes && input instanceof ReadStream ? input.bytesRead / totalBytes : undefined;
      progress.add(lines.length, part);
    }
    await writer.end();
  } catch (error) {
    if (!(error instanceof LineError)) {
      throw error;
    }
    await writer.end();
    throw new CommandError(
      EXIT.misused,
      `line ${number}: ${error.message}; the lines before it are imported, and --from-line ${number} goes on there`,
      error,
    );
  } finally {
    progress.end();
  }
}

function unreadable(): never {
  throw new LineError(`it is not UTF-8, or has more than ${MAX_LINE_BYTES} bytes`);
}
