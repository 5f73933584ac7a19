import { createReadStream } from "node:fs";
import { type EventFacts, type PrismClient, PrismError } from "../../client/node.ts";
import { CommandError, EXIT } from "./exit-codes.ts";
import { readLines } from "./read-lines.ts";
import { MAX_VALUE_BYTES } from "./values.ts";

/**
 * Appends an event for each line of a file, or of standard input. Answers how many. Throws
 * {@link CommandError} at a line that is no event, and PrismError at the first that is not
 * appended.
 */
export async function appendLines(
  client: PrismClient,
  stream: string,
  facts: EventFacts,
  path: string | undefined,
): Promise<number> {
  const writer = client.timeseries.writer(stream);
  let line = 0;
  let appended = 0;
  let failure: { readonly line: number; readonly error: unknown } | undefined;
  const add = async (text: string | undefined) => {
    const number = ++line;
    if (text === undefined) {
      throw new CommandError(EXIT.misused, `line ${number} is not UTF-8, or too long`);
    }
    await writer.ready();
    if (failure !== undefined) {
      throw failure.error;
    }
    writer.append(text, facts).then(
      () => {
        appended++;
      },
      (error: unknown) => {
        failure ??= { line: number, error };
      },
    );
  };
  try {
    for await (const texts of readLines(input(path), MAX_VALUE_BYTES)) {
      for (const text of texts) {
        await add(text);
      }
    }
    await writer.close();
    return appended;
  } catch (error) {
    // Lines that are on their way count too. What fails of them is no other failure.
    await writer.close().catch(() => {});
    throw failure === undefined
      ? withOutcome(error, "", appended)
      : withOutcome(failure.error, `line ${failure.line}: `, appended);
  }
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
