import { type DataCall, isHuman, printFact, printValue } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { printNames } from "./names.ts";
import { toInteger } from "./options.ts";
import { Lines } from "./output.ts";
import { readValue, shownValue, toJsonBytes } from "./values.ts";

/** `lists [PREFIX]` */
export function lists({ client, args: [prefix], options }: DataCall): Promise<ExitCode> {
  return printNames("list", client.list.names({ prefix }), options);
}

/** `push LIST [VALUE]` */
export async function push({ client, args: [list = "", value], options }: DataCall): Promise<ExitCode> {
  const bytes = await readValue(value, options);
  const length =
    options.left === true
      ? await client.list.pushLeft(list, bytes)
      : await client.list.pushRight(list, bytes);
  await printFact({ list, length }, `${length}`, options);
  return EXIT.done;
}

/** `pop LIST` */
export async function pop({ client, args: [list = ""], options }: DataCall): Promise<ExitCode> {
  const value = options.right === true ? await client.list.popRight(list) : await client.list.popLeft(list);
  if (value === undefined) {
    throw new CommandError(EXIT.notFound, `the list is empty: ${list}`);
  }
  await printValue({ list }, value, options);
  return EXIT.done;
}

/** `len LIST` */
export async function len({ client, args: [list = ""], options }: DataCall): Promise<ExitCode> {
  const length = await client.list.length(list);
  await printFact({ list, length }, `${length}`, options);
  return EXIT.done;
}

/** `range LIST [START] [STOP]` */
export async function range({
  client,
  args: [list = "", start = "0", stop = "-1"],
  options,
}: DataCall): Promise<ExitCode> {
  const [from, to] = [Number(toInteger("START", start)), Number(toInteger("STOP", stop))];
  const isForPeople = isHuman(options);
  const lines = new Lines();
  for await (const value of client.list.range(list, from, to)) {
    await lines.add(isForPeople ? shownValue(value) : JSON.stringify(toJsonBytes(value)));
  }
  await lines.end();
  return EXIT.done;
}
