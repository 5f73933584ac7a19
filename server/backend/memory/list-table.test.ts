import { expect, test } from "vitest";
import { ListTable } from "./list-table.ts";

test("an emptied list takes no room", () => {
  const lists = new ListTable();
  for (let i = 0; i < 100; i++) {
    lists.push(`list ${i}`, "left", Uint8Array.of(i));
  }
  expect(lists.size).toBe(100);
  for (let i = 0; i < 100; i++) {
    expect(lists.pop(`list ${i}`, "right")?.[0]).toBe(i);
  }
  expect(lists.size).toBe(0);
});
