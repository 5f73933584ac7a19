import { createReadStream } from "node:fs";
import { type EventFacts, type PrismClient, PrismError } from "../../client/node.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { readLines } from "./read-lines.ts";
import { MAX_VALUE_BYTES } from "./values.ts";

/** The most lines of a call, and the characters after which it has no more. */
const MAX_BATCH_LINES = 1000;
const MAX_BATCH_LENGTH = 512 * 1024;

/**
 * Appends an event for each line of a file, or of standard input, in batches, one after the other.
 * Answers how many. Throws {@link CommandError} at a line that is no event, and PrismError for the
 * first batch that is not appended: no line behind it is.
 */
export async function appendLines(
  client: PrismClient,
  stream: string,
  facts: EventFacts,
  path: string | undefined,
): Promise<number> {
  let appended = 0;
  let lines: string[] = [];
  let length = 0;

  const flush = async (): Promise<void> => {
    const batch = lines.map((payload) => ({ payload, ...facts }));
    lines = [];
    length = 0;
    if (batch.length === 0) {
      return;
    }
    try {
      await client.timeseries.appendBatch(stream, batch);
    } catch (error) {
      throw withOutcome(error, linesFrom(appended + 1, batch.length), appended);
    }
    appended += batch.length;
  };

  for await (const texts of failing(readLines(input(path), MAX_VALUE_BYTES), () => appended)) {
    for (const text of texts) {
      if (text === undefined) {
        await flush();
        const message = `line ${appended + 1} is not UTF-8, or too long`;
        throw withOutcome(new CommandError(EXIT.misused, message), "", appended);
      }
      if (lines.length === MAX_BATCH_LINES || length + text.length > MAX_BATCH_LENGTH) {
        await flush();
      }
      lines.push(text);
      length += text.length;
    }
  }
  await flush();
  return appended;
}

/** Tells of a file that cannot be read how many lines are appended. */
async function* failing<T>(pages: AsyncIterable<T>, appended: () => number): AsyncGenerator<T, void> {
  try {
    yield* pages;
  } catch (error) {
    throw withOutcome(error, "", appended());
  }
}

function linesFrom(first: number, count: number): string {
  return count === 1 ? `line ${first}: ` : `lines ${first} to ${first + count - 1}: `;
}

function input(path: string | undefined): AsyncIterable<Buffer> {
  return path === undefined ? process.stdin : createReadStream(path);
}

/** A failure that also tells how many lines are appended. */
function withOutcome(error: unknown, where: string, appended: number): unknown {
  if (!(error instanceof Error)) {
    return error;
  }
  const message = `${where}${error.message}; ${appended} lines are appended`;
  if (error instanceof PrismError) {
    return new PrismError(message, error);
  }
  // Else the file cannot be read.
  const exitCode = error instanceof CommandError ? error.exitCode : EXIT.misused;
  return new CommandError(exitCode, message, error);
}
