import { expect, test } from "vitest";
import { waitFor } from "../../tests/helpers/until.ts";
import type { Backend } from "../backend/contract.ts";
import { PrismError, ReadOnlyError } from "../errors.ts";
import { createStoreMonitor } from "./store-monitor.ts";

/** A store whose checks a test answers, or which answers them itself. */
function createStore() {
  const asked: PromiseWithResolvers<void>[] = [];
  const store = { backend: backendOf(check), asked, answers: false };

  function check(): Promise<void> {
    const question = Promise.withResolvers<void>();
    asked.push(question);
    if (store.answers) {
      question.resolve();
    }
    return question.promise;
  }

  return store;
}

function backendOf(check: Backend["check"]): Backend {
  return { type: "fake", atomic: "key", async open() {}, check, async close() {} };
}
const NEVER = 2 ** 31 - 1;

test("what a check finds, and since when it is so", async () => {
  const { backend, asked } = createStore();
  const monitor = createStoreMonitor(() => [], { timeoutMs: NEVER });
  const check = async (answer: () => void) => {
    const state = monitor.check(backend);
    answer();
    return await state;
  };
  expect(monitor.last(backend)).toBeUndefined();
  const first = await check(() => asked.at(-1)?.resolve());
  expect(first).toMatchObject({ health: "serving", problem: "", sinceMs: first.checkedAtMs });
  const second = await check(() => asked.at(-1)?.resolve());
  expect(second.sinceMs).toBe(first.sinceMs);
  expect(await check(() => asked.at(-1)?.reject(new ReadOnlyError("no writes")))).toMatchObject({
    health: "read_only",
    problem: "no writes",
  });
  const unknown = new Error("driver: s3cret");
  const away = await check(() => asked.at(-1)?.reject(unknown));
  expect(away).toMatchObject({ health: "not_serving", problem: "internal error" });
  expect(monitor.last(backend)).toBe(away);
  const refusal = new PrismError("store_unavailable", "away");
  expect(await check(() => asked.at(-1)?.reject(refusal))).toMatchObject({
    problem: "away",
    sinceMs: away.sinceMs,
  });
  monitor.close();
});

test("a store is asked once at a time, and no answer is of before its question", async () => {
  const { backend, asked } = createStore();
  const monitor = createStoreMonitor(() => [], { timeoutMs: NEVER });
  const first = monitor.check(backend);
  const late = [monitor.check(backend), monitor.check(backend)];
  expect(asked).toHaveLength(1);
  asked[0]?.resolve();
  expect(await first).toMatchObject({ health: "serving" });
  await waitFor(() => expect(asked).toHaveLength(2));
  asked[1]?.reject(new PrismError("store_unavailable", "away"));
  for (const state of await Promise.all(late)) {
    expect(state).toMatchObject({ health: "not_serving" });
  }
  expect(asked).toHaveLength(2);
  monitor.close();
});

test("a store that does not answer is not serving, and is not asked again meanwhile", async () => {
  const store = createStore();
  const { backend, asked } = store;
  const monitor = createStoreMonitor(() => [backend], { intervalMs: 5, timeoutMs: 20 });
  await waitFor(() => expect(monitor.last(backend)?.health).toBe("not_serving"));
  expect(monitor.last(backend)?.problem).toBe("the store does not answer within 20 ms");
  expect(asked).toHaveLength(1);
  store.answers = true;
  asked[0]?.resolve();
  await waitFor(() => expect(monitor.last(backend)?.health).toBe("serving"));
  monitor.close();
});
