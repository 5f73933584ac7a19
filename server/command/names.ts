import type { Options } from "../cli.ts";
import { isHuman } from "./entries.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { numberOption } from "./options.ts";
import { Lines } from "./output.ts";
import { shownText } from "./values.ts";

/** Prints names, a line each. `field` has the name in JSON. */
export async function printNames(
  field: "list" | "id" | "stream",
  names: AsyncIterable<string>,
  options: Options,
): Promise<ExitCode> {
  const isForPeople = isHuman(options);
  let left = numberOption(options, "limit") || Number.POSITIVE_INFINITY;
  const lines = new Lines();
  for await (const name of names) {
    await lines.add(isForPeople ? shownText(name) : JSON.stringify({ [field]: name }));
    if (--left === 0) {
      break;
    }
  }
  await lines.end();
  return EXIT.done;
}
