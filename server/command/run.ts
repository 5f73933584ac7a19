import type { CallName, Command } from "../cli.ts";
import * as entries from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { exportAll } from "./export.ts";
import { importAll } from "./import.ts";
import * as lists from "./lists.ts";
import * as operator from "./operator.ts";
import { write } from "./output.ts";
import * as records from "./records.ts";
import * as timeseries from "./timeseries.ts";

type Given = Omit<entries.DataCall, "client">;

type Run = (given: Given) => Promise<ExitCode>;

// What only some commands need is imported late: the others answer at once.

/** Of a gateway's data. */
const onData =
  (run: (call: entries.DataCall) => Promise<ExitCode>): Run =>
  async (given) => {
    const { withClient } = await import("./connection.ts");
    return await withClient(given.options, (client) => run({ client, ...given }));
  };

const COMMANDS: Readonly<Record<CallName, Run>> = {
  get: onData(entries.get),
  set: onData(entries.set),
  del: onData(entries.del),
  exists: onData(entries.exists),
  ttl: onData(entries.ttl),
  incr: onData(entries.incr),
  scan: onData(entries.scan),
  count: onData(entries.count),
  export: onData(exportAll),
  import: onData(importAll),
  lists: onData(lists.lists),
  push: onData(lists.push),
  pop: onData(lists.pop),
  len: onData(lists.len),
  range: onData(lists.range),
  "record ids": onData(records.ids),
  "record put": onData(records.put),
  "record get": onData(records.get),
  "record scan": onData(records.scan),
  "record delete": onData(records.remove),
  "record cas": onData(records.compareAndSwap),
  "ts append": onData(timeseries.append),
  "ts query": onData(timeseries.query),
  "ts tail": onData(timeseries.tail),
  "ts aggregate": onData(timeseries.aggregate),
  "ts create": onData(timeseries.create),
  "ts delete": onData(timeseries.remove),
  "ts describe": onData(timeseries.describe),
  "ts list": onData(timeseries.list),
  "ns list": operator.listNamespaces,
  "ns get": operator.getNamespace,
  "ns create": operator.createNamespace,
  "ns delete": operator.deleteNamespace,
  backends: operator.listBackends,
  completion: async ({ args: [shell = ""] }) => {
    const { completionScript } = await import("./completion.ts");
    await write(await completionScript(shell));
    return EXIT.done;
  },
};

/** Runs a command that calls a gateway. Throws {@link CommandError}. */
export async function runCall({
  name,
  args,
  options,
}: Extract<Command, { kind: "call" }>): Promise<ExitCode> {
  // Node puts this character where an argument is no UTF-8, and the bytes are lost.
  const mangled = [...args, ...Object.values(options).flat()].find(
    (given) => typeof given === "string" && given.includes("\uFFFD"),
  );
  if (mangled !== undefined) {
    throw new CommandError(
      EXIT.misused,
      `the argument "${mangled}" is not UTF-8; give the bytes on standard input or with --file`,
    );
  }
  // Who reads the output may leave early (`prism scan | head`): then there is nothing to say.
  process.stdout.on("error", (error) => {
    process.exit("code" in error && error.code === "EPIPE" ? EXIT.failed : reportAndFail(error));
  });
  return await COMMANDS[name]({ args, options });
}

function reportAndFail({ message }: Error): ExitCode {
  process.stderr.write(`prism: ${message}\n`);
  return EXIT.failed;
}
