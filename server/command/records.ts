import type { RecordItem } from "../../client/node.ts";
import type { Options } from "../cli.ts";
import { type DataCall, isHuman, printFact, printValue } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { factsToJson } from "./item-facts.ts";
import { printNames } from "./names.ts";
import { numberOption, textOption } from "./options.ts";
import { Lines, write } from "./output.ts";
import { readFile, readValue, shownValue, toJsonBytes } from "./values.ts";

/** `record put ID KEY [VALUE]` */
export async function put({
  client,
  args: [id = "", key = "", value],
  options,
}: DataCall): Promise<ExitCode> {
  const item = {
    key: toItemKey(key, options),
    value: await readValue(value, options),
    ttlSeconds: numberOption(options, "ttl"),
  };
  await client.records.put(id, [item]);
  if (options.json === true) {
    await write(`${JSON.stringify({ id, ...keyOf(item.key) })}\n`);
  }
  return EXIT.done;
}

/** `record get ID [KEY...]` */
export async function get({ client, args: [id = "", ...given], options }: DataCall): Promise<ExitCode> {
  const keys = given.map((key) => toItemKey(key, options));
  if (options.raw === true && keys.length !== 1) {
    throw new CommandError(EXIT.misused, "option --raw: expected one key");
  }
  const bound = (name: string) => {
    const text = textOption(options, name);
    return text === undefined ? undefined : toItemKey(text, options);
  };
  const items = await client.records.get(id, {
    ...(keys.length > 0 && { keys }),
    start: bound("start"),
    end: bound("end"),
  });
  const [first] = items;
  if (first === undefined) {
    throw new CommandError(EXIT.notFound, `no such item in the record: ${id}`);
  }
  if (options.raw === true) {
    await printValue({ id, ...keyOf(first.key) }, first.value, options);
    return EXIT.done;
  }
  const toLine = lineOf(options);
  const lines = new Lines();
  for (const item of items) {
    await lines.add(toLine(item));
  }
  await lines.end();
  return EXIT.done;
}

/** `record scan ID` */
export async function scan({ client, args: [id = ""], options }: DataCall): Promise<ExitCode> {
  const toLine = lineOf(options);
  const lines = new Lines();
  for await (const item of client.records.scan(id, { limit: numberOption(options, "limit") })) {
    await lines.add(toLine(item));
  }
  await lines.end();
  return EXIT.done;
}

/** `record ids [PREFIX]` */
export function ids({ client, args: [prefix], options }: DataCall): Promise<ExitCode> {
  return printNames("id", client.records.ids({ prefix }), options);
}

/** `record delete ID [KEY...]` */
export async function remove({ client, args: [id = "", ...given], options }: DataCall): Promise<ExitCode> {
  const keys = given.map((key) => toItemKey(key, options));
  // A shell's variable that is empty must not delete a whole record.
  if ((options.all === true) === keys.length > 0) {
    throw new CommandError(EXIT.misused, "keys of items, or --all for the whole record: give one of both");
  }
  const deleted = await client.records.delete(id, keys.length > 0 ? { keys } : {});
  await printFact({ deleted }, `${deleted}`, options);
  return deleted === 0 ? EXIT.notFound : EXIT.done;
}

/** `record cas ID KEY [VALUE]` */
export async function compareAndSwap({
  client,
  args: [id = "", key = "", value],
  options,
}: DataCall): Promise<ExitCode> {
  const expected = await readExpected(options);
  const itemKey = toItemKey(key, options);
  const swap = await client.records.compareAndSwap(id, itemKey, expected, await readValue(value, options));
  const actual = swap.swapped || swap.actual === undefined ? {} : toJsonBytes(swap.actual);
  await printFact({ id, ...keyOf(itemKey), swapped: swap.swapped, ...actual }, `${swap.swapped}`, options);
  return swap.swapped ? EXIT.done : EXIT.different;
}

/** What the item must have; `undefined` = there must be none. Throws {@link CommandError}. */
async function readExpected(options: Options): Promise<string | Buffer | undefined> {
  const text = textOption(options, "expected");
  const file = textOption(options, "expected-file");
  const isAbsent = options.absent === true;
  if ([text !== undefined, file !== undefined, isAbsent].filter(Boolean).length !== 1) {
    throw new CommandError(
      EXIT.misused,
      "what is expected: give one of --expected VALUE, --expected-file FILE and --absent",
    );
  }
  return file === undefined ? text : await readFile(file);
}

/** The key of an item, as the command line has it. Throws {@link CommandError}. */
function toItemKey(text: string, options: Options): string | Buffer {
  if (options["base64-keys"] !== true) {
    return text;
  }
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") !== text) {
    throw new CommandError(EXIT.misused, `option --base64-keys: the key "${text}" is no base64`);
  }
  return bytes;
}

/** The key of an item for JSON. */
function keyOf(key: string | Uint8Array): object {
  return typeof key === "string" ? { key } : toJsonBytes(key, "key");
}

/** How an item is printed. */
function lineOf(options: Options): (item: RecordItem) => string {
  const isForPeople = isHuman(options);
  if (options.keys === true) {
    return ({ key }) => (isForPeople ? shownValue(key) : JSON.stringify(keyOf(key)));
  }
  return isForPeople
    ? ({ key, value }) => `${shownValue(key)}\t${shownValue(value)}`
    : (item) => JSON.stringify(toJson(item));
}

function toJson({ key, value, createdAtMs, updatedAtMs, ...facts }: RecordItem): object {
  const { ttlSeconds } = facts;
  return {
    ...keyOf(key),
    ...toJsonBytes(value),
    created_at_ms: createdAtMs,
    updated_at_ms: updatedAtMs,
    ...(ttlSeconds !== undefined && { ttl_seconds: ttlSeconds }),
    ...factsToJson(facts),
  };
}
