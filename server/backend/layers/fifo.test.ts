import { expect, test } from "vitest";
import { Fifo, Linked } from "./fifo.ts";

class Item extends Linked<Item> {
  readonly name: string;

  constructor(name: string) {
    super();
    this.name = name;
  }
}

function namesOf(fifo: Fifo<Item>): string[] {
  const names: string[] = [];
  for (let item = fifo.first; item !== undefined; item = item.next) {
    names.push(item.name);
  }
  return names;
}

test("items leave from every place, and can come again", () => {
  const fifo = new Fifo<Item>();
  const [a, b, c, d] = [new Item("a"), new Item("b"), new Item("c"), new Item("d")];
  for (const item of [a, b, c, d]) {
    fifo.add(item);
  }
  fifo.delete(b);
  expect(namesOf(fifo)).toEqual(["a", "c", "d"]);
  fifo.delete(b);
  fifo.delete(d);
  fifo.delete(a);
  expect(namesOf(fifo)).toEqual(["c"]);
  expect([a, b, c, d].map(({ isQueued }) => isQueued)).toEqual([false, false, true, false]);
  fifo.add(b);
  expect(namesOf(fifo)).toEqual(["c", "b"]);
  fifo.delete(c);
  fifo.delete(b);
  expect(fifo.first).toBeUndefined();
  fifo.add(a);
  expect(namesOf(fifo)).toEqual(["a"]);
});
