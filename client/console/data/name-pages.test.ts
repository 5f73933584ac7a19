import { expect, test, vi } from "vitest";
import { NamePages } from "./name-pages.ts";

/** Pages of 100 numbers. */
async function* pagesOf(count: number): AsyncGenerator<number[]> {
  for (let page = 0; page < count; page++) {
    yield Array.from({ length: 100 }, (_, i) => page * 100 + i);
  }
}

test("pages are read as they come into sight", async () => {
  const names = new NamePages(
    () => pagesOf(50),
    () => {},
  );
  await expect.poll(() => names.items.length).toBe(100);
  names.see(150);
  await expect.poll(() => names.items.length).toBe(2200);
  expect(names.isAtEnd).toBe(false);
  names.see(5000);
  await expect.poll(() => names.isAtEnd).toBe(true);
  expect(names.items).toEqual(Array.from({ length: 5000 }, (_, i) => i));
});

test("a failure stops it, and it can be tried again", async () => {
  let tries = 0;
  const onChange = vi.fn();
  const names = new NamePages(async function* () {
    tries++;
    yield ["a"];
    if (tries === 1) {
      throw new Error("away");
    }
  }, onChange);
  names.see(1);
  await expect.poll(() => names.problem).toEqual(new Error("away"));
  names.see(1);
  names.retry();
  await expect.poll(() => names.isAtEnd).toBe(true);
  expect(names.items).toEqual(["a"]);
  expect(tries).toBe(2);
  expect(onChange).toHaveBeenCalled();
});

test("what is closed tells nothing more", async () => {
  const onChange = vi.fn();
  const next = Promise.withResolvers<void>();
  const names = new NamePages(async function* () {
    await next.promise;
    yield ["a"];
  }, onChange);
  names.close();
  next.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect(onChange).not.toHaveBeenCalled();
});
