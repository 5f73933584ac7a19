import { expect, test } from "vitest";
import { figuresInWords } from "./figures.ts";

test("figures have names and units; unknown ones come last", () => {
  expect(
    figuresInWords({ new_thing: 3n, queued_bytes: 2048n, connections_max: 0n, connections_used: 1200n }),
  ).toEqual([
    ["Connections in use", "1,200"],
    ["Most connections", "no bound"],
    ["Size of those calls", "2 KiB"],
    ["new thing", "3"],
  ]);
});
