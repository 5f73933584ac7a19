import { type DumpOutput, openDump, STANDARD_OUTPUT } from "./dump-file.ts";
import { entryLine, LineError, listLine, parseLine, recordLine } from "./dump-line.ts";
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
    if (list === undefined) {
      await exportFrom(call, output, placeIn(path, output));
    } else {
      await exportOne(call, output, list);
    }
    await output.end();
  } finally {
    await output.close();
  }
  return EXIT.done;
}

/** Where an export goes on: behind an entry, or with a list or a record, which begins anew. */
interface Place {
  readonly in: "entries" | "lists" | "records";
  /** `undefined` = with the first one. */
  readonly name: string | undefined;
}

/** What a file ends with. Throws {@link CommandError}. */
function placeIn(path: string, { lastLine }: DumpOutput): Place {
  try {
    const last = lastLine === undefined ? undefined : parseLine(lastLine);
    if (last === undefined || "key" in last) {
      return { in: "entries", name: last?.key };
    }
    return "list" in last ? { in: "lists", name: last.list } : { in: "records", name: last.record };
  } catch (error) {
    if (error instanceof LineError) {
      const message = `${path} does not end with a line of an export: ${error.message}`;
      throw new CommandError(EXIT.misused, message, error);
    }
    throw error;
  }
}

/** Writes entries, then lists, then records. */
async function exportFrom(call: DataCall, output: DumpOutput, place: Place): Promise<void> {
  const { client, options } = call;
  const startOf = (space: Place["in"]) => (place.in === space ? place.name : undefined);
  const rangeOf = (space: Place["in"]) => ({ prefix: textOption(options, "prefix"), start: startOf(space) });
  if (place.in === "entries") {
    await exportEntries(call, output, place.name);
  }
  if (place.in !== "records") {
    const lists = namesOf(client.list.names(rangeOf("lists")), () => client.list.length(PROBE));
    await exportEach("values of lists", lists, (list, progress) =>
      writeParts(client.list.range(list), output, progress, {
        bytesOf: ({ length }) => length,
        toLine: (values, append) => listLine(list, values, append),
      }),
    );
  }
  const ids = namesOf(client.records.ids(rangeOf("records")), () => client.records.get(PROBE));
  await exportEach("items of records", ids, (id, progress) =>
    writeParts(client.records.scan(id), output, progress, {
      bytesOf: ({ key, value }) => key.length + value.length,
      toLine: (items, append) => recordLine(id, items, append),
    }),
  );
}

/** A name that nobody uses. */
const PROBE = "\0prism.probe";

/**
 * The names of lists or of records; none where the store has no such thing. Fails where it has, and
 * cannot tell their names.
 */
async function* namesOf(
  names: AsyncIterable<string>,
  probe: () => Promise<unknown>,
): AsyncGenerator<string, void, undefined> {
  try {
    yield* names;
  } catch (error) {
    // Late, because it loads all of the client.
    const { PrismError } = await import("../../client/node.ts");
    const isUnsupported = (thrown: unknown) =>
      thrown instanceof PrismError && thrown.reason === "interface_unsupported";
    const mayHave = () =>
      probe().then(
        () => true,
        (thrown: unknown) => !isUnsupported(thrown),
      );
    if (!isUnsupported(error) || (await mayHave())) {
      throw error;
    }
  }
}

async function exportEach(
  what: string,
  names: AsyncIterable<string>,
  write: (name: string, progress: Progress) => Promise<unknown>,
): Promise<void> {
  const progress = new Progress(what);
  try {
    for await (const name of names) {
      await write(name, progress);
    }
  } finally {
    progress.end();
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

/** Writes one list. Throws {@link CommandError} if it has no values. */
async function exportOne({ client }: DataCall, output: DumpOutput, list: string): Promise<void> {
  const progress = new Progress("values");
  try {
    const lines = await writeParts(client.list.range(list), output, progress, {
      bytesOf: ({ length }) => length,
      toLine: (values, append) => listLine(list, values, append),
    });
    if (lines === 0) {
      throw new CommandError(EXIT.notFound, `the list is empty: ${list}`);
    }
  } finally {
    progress.end();
  }
}

/** A line of a list or a record ends with the part that takes it to so many parts or bytes. */
const LINE_PARTS = 1000;
const LINE_BYTES = 256 * 1024;

/** How parts become a line. */
interface PartsForm<Part> {
  bytesOf(part: Part): number;
  /** `append`: not the first line. */
  toLine(parts: readonly Part[], append: boolean): string;
}

/** Writes the values of a list or the items of a record. Answers the number of lines. */
async function writeParts<Part>(
  all: AsyncIterable<Part>,
  output: DumpOutput,
  progress: Progress,
  { bytesOf, toLine }: PartsForm<Part>,
): Promise<number> {
  let parts: Part[] = [];
  let bytes = 0;
  let lines = 0;
  const send = async () => {
    await output.write(toLine(parts, lines > 0));
    progress.add(parts.length);
    lines++;
    parts = [];
    bytes = 0;
  };
  for await (const part of all) {
    parts.push(part);
    bytes += bytesOf(part);
    if (parts.length === LINE_PARTS || bytes >= LINE_BYTES) {
      await send();
    }
  }
  if (parts.length > 0) {
    await send();
  }
  return lines;
}
