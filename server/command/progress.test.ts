import { join } from "node:path";
import { expect, test } from "vitest";
import { hasTerminals, SLOW, useGateway } from "../../tests/helpers/commands.ts";
import { temporaryFolder } from "../../tests/helpers/process.ts";

const { run, shown } = useGateway();

/** Takes a picture away, and stands before each: to the line's start, and all of it removed. */
const ERASE = "\r\u001b[K";

const ENTRIES = 3000;

test.runIf(hasTerminals())(
  "a terminal shows how far an export and an import are, and then nothing",
  SLOW,
  async () => {
    await using folder = await temporaryFolder();
    const lines = Array.from({ length: ENTRIES }, (_, i) => `{"key":"p/${i}","value":"${i}"}\n`);
    expect(await run("import", lines.join(""))).toMatchObject({ code: 0, stderr: "" });
    const file = join(folder.path, "all.jsonl");
    const [before, first, ...others] = (await shown(`export ${file}`)).split(ERASE);
    expect(before).toBe("");
    // A page of several.
    expect(first).toMatch(/^\[#{1,23}\.{1,23}\] {2}\d\d% \d,\d{3} entries, [\d,]+ a second$/);
    expect(others.pop()).toBe("");
    const imported = (await shown(`import ${file}`)).split(ERASE);
    expect(imported[1]).toMatch(/^\[#{24}\] 100% 3,000 lines, [\d,]+ a second$/);
    expect(imported.at(-1)).toMatch(/^3000 entries, [^\r]*\r\n$/);
    // What a resumed export has to do is not known.
    const resumed = (await shown(`export ${file} --resume`)).split(ERASE);
    expect(resumed[1]).toMatch(/^1 entries, [\d,]+ a second$/);
    expect(resumed.at(-1)).toBe("");
  },
);
