import type { CallName, Command } from "../cli.ts";
import { withClient } from "./connection.ts";
import * as entries from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import * as lists from "./lists.ts";

const COMMANDS: Readonly<Record<CallName, (call: entries.DataCall) => Promise<ExitCode>>> = {
  get: entries.get,
  set: entries.set,
  del: entries.del,
  exists: entries.exists,
  ttl: entries.ttl,
  incr: entries.incr,
  scan: entries.scan,
  count: entries.count,
  push: lists.push,
  pop: lists.pop,
  len: lists.len,
  range: lists.range,
};

/** Runs a command that calls a gateway. Throws {@link CommandError}. */
export async function runCall({
  name,
  args,
  options,
}: Extract<Command, { kind: "call" }>): Promise<ExitCode> {
  // Node puts this character where an argument is no UTF-8, and the bytes are lost.
  const mangled = args.find((arg) => arg.includes("\uFFFD"));
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
  return await withClient(options, (client) => COMMANDS[name]({ client, args, options }));
}

function reportAndFail({ message }: Error): ExitCode {
  process.stderr.write(`prism: ${message}\n`);
  return EXIT.failed;
}
