import type { PrismClient } from "../../client/node.ts";
import type { Options } from "../cli.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { numberOption, textOption, toInteger } from "./options.ts";
import { Lines, write } from "./output.ts";
import { readValue, shownText, shownValue, toJsonBytes } from "./values.ts";

/** What a command is given: a client, its arguments and its options. */
export interface DataCall {
  readonly client: PrismClient;
  readonly args: readonly string[];
  readonly options: Options;
}

/** `get KEY` */
export async function get({ client, args: [key = ""], options }: DataCall): Promise<ExitCode> {
  const value = await client.keyvalue.get(key);
  await printValue({ key }, value, options);
  return EXIT.done;
}

/** `set KEY [VALUE]` */
export async function set({ client, args: [key = "", value], options }: DataCall): Promise<ExitCode> {
  const ttlSeconds = numberOption(options, "ttl");
  await client.keyvalue.set(key, await readValue(value, options), { ttlSeconds });
  if (options.json === true) {
    await write(`${JSON.stringify({ key })}\n`);
  }
  return EXIT.done;
}

/** `del KEY...` */
export async function del({ client, args, options }: DataCall): Promise<ExitCode> {
  // One key needs no batches, which a store may lack.
  const [key = ""] = args;
  const found =
    args.length === 1 ? [await client.keyvalue.delete(key)] : await client.keyvalue.deleteMany(args);
  const deleted = found.filter(Boolean).length;
  await printFact({ deleted }, `${deleted}`, options);
  return deleted === 0 ? EXIT.notFound : EXIT.done;
}

/** `exists KEY` */
export async function exists({ client, args: [key = ""], options }: DataCall): Promise<ExitCode> {
  const isThere = await client.keyvalue.exists(key);
  await printFact({ key, exists: isThere }, `${isThere}`, options);
  return isThere ? EXIT.done : EXIT.notFound;
}

/** `ttl KEY` */
export async function ttl({ client, args: [key = ""], options }: DataCall): Promise<ExitCode> {
  const ttlMs = await client.keyvalue.ttl(key);
  await printFact(
    { key, ttl_seconds: ttlMs === undefined ? null : ttlMs / 1000 },
    ttlMs === undefined ? "never" : `${ttlMs / 1000}`,
    options,
  );
  return EXIT.done;
}

/** `incr KEY [NUMBER]` */
export async function incr({ client, args: [key = "", delta = "1"], options }: DataCall): Promise<ExitCode> {
  const initial = textOption(options, "initial");
  const sum = await client.keyvalue.increment(key, toInteger("NUMBER", delta), {
    initial: initial === undefined ? undefined : toInteger("option --initial", initial),
    ttlSeconds: numberOption(options, "ttl"),
  });
  // As text: it may have more digits than a number of JSON's readers.
  await printFact({ key, value: `${sum}` }, `${sum}`, options);
  return EXIT.done;
}

/** `scan [PREFIX]` */
export async function scan({ client, args: [prefix], options }: DataCall): Promise<ExitCode> {
  const range = { prefix, limit: numberOption(options, "limit"), reverse: options.reverse === true };
  const isForPeople = isHuman(options);
  const lines = new Lines();
  if (options.keys === true) {
    for await (const { key } of client.keyvalue.rangeKeys(range)) {
      await lines.add(isForPeople ? shownText(key) : JSON.stringify({ key }));
    }
  } else {
    for await (const { key, value } of client.keyvalue.range(range)) {
      await lines.add(
        isForPeople
          ? `${shownText(key)}\t${shownValue(value)}`
          : JSON.stringify({ key, ...toJsonBytes(value) }),
      );
    }
  }
  await lines.end();
  return EXIT.done;
}

/** `count [PREFIX]` */
export async function count({ client, args: [prefix], options }: DataCall): Promise<ExitCode> {
  const found = await client.keyvalue.count(prefix);
  await printFact({ count: found }, `${found}`, options);
  return EXIT.done;
}

/** Prints a value's bytes as they are, or JSON with `facts` about it. */
export async function printValue(facts: object, value: Uint8Array, { json }: Options): Promise<void> {
  if (json === true) {
    await write(`${JSON.stringify({ ...facts, ...toJsonBytes(value) })}\n`);
    return;
  }
  await write(value);
  if (process.stdout.isTTY) {
    await write("\n");
  }
}

/** Prints an answer of one word, or JSON. */
export async function printFact(facts: object, text: string, { json }: Options): Promise<void> {
  await write(`${json === true ? JSON.stringify(facts) : text}\n`);
}

/** Whether many things are printed for people, not as JSON. */
export function isHuman({ json }: Options): boolean {
  return process.stdout.isTTY && json !== true;
}
