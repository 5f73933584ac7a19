import { pino } from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createFailureLog, type Failure } from "./failure-log.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function createLog(level = "info") {
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level, base: null, timestamp: false },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return { lines, failures: createFailureLog(log) };
}

const failure = (id: number, more: Partial<Failure> = {}): Failure => ({
  level: "info",
  message: "failed",
  kind: "a",
  fields: () => ({ id }),
  ...more,
});

/** Without pino's level numbers, which these tests do not check. */
const told = (lines: readonly Record<string, unknown>[]) => lines.map(({ level, msg, ...rest }) => rest);

test("the first of a kind is written at once, those of the second after it as one line", () => {
  const { lines, failures } = createLog();
  for (let id = 0; id < 1000; id++) {
    failures.tell(failure(id));
  }
  failures.tell(failure(5000, { kind: "b" }));
  expect(told(lines)).toEqual([{ id: 0 }, { id: 5000 }]);
  vi.advanceTimersByTime(1000);
  expect(told(lines.splice(0))).toEqual([{ id: 0 }, { id: 5000 }, { id: 1, count: 999 }]);
  // A continuing flood has one line a second; a single failure has no count.
  failures.tell(failure(1000));
  expect(lines).toEqual([]);
  vi.advanceTimersByTime(1000);
  expect(told(lines.splice(0))).toEqual([{ id: 1000 }]);
  vi.advanceTimersByTime(1000);
  failures.tell(failure(2000));
  expect(told(lines)).toEqual([{ id: 2000 }]);
  failures.close();
});

test("what the line has is asked only where it is written or is the first that is counted", () => {
  const { failures } = createLog();
  const fields = vi.fn(() => ({}));
  for (let i = 0; i < 100; i++) {
    failures.tell(failure(0, { fields }));
  }
  expect(fields).toHaveBeenCalledTimes(2);
  failures.close();
});

test("however many kinds there are, the lines of a second are bounded, and no failure is left out", () => {
  const { lines, failures } = createLog();
  for (let second = 0; second < 10; second++) {
    for (let i = 0; i < 2000; i++) {
      failures.tell(failure(i, { kind: `${second} ${i}`, message: `m${i % 3}` }));
    }
    vi.advanceTimersByTime(1000);
  }
  failures.close();
  expect(lines.length).toBeLessThan(10 * 70);
  const counts = lines.map(({ count }) => Number(count ?? 1));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(20_000);
  expect(lines.filter(({ mixed }) => mixed === true).length).toBeGreaterThan(0);
  // They take no room from other levels.
  failures.tell(failure(1, { level: "error" }));
  expect(lines.at(-1)).toMatchObject({ level: 50, id: 1 });
});

test("a stack is written once, and afterwards what the error says", () => {
  const { lines, failures } = createLog();
  const cause = () => new Error("refused", { cause: new Error("by the kernel") });
  for (let second = 0; second < 5; second++) {
    failures.tell(failure(1, { cause: cause() }));
    failures.tell(failure(2, { cause: cause() }));
    vi.advanceTimersByTime(3000);
  }
  failures.close();
  expect(lines).toHaveLength(10);
  expect(lines[0]).toMatchObject({ err: { stack: expect.stringContaining("failure-log.test.ts") } });
  expect(JSON.stringify(lines.slice(1))).not.toContain("stack");
  for (const line of lines.slice(1)) {
    expect(line).toMatchObject({ cause: "refused: by the kernel" });
  }
});

test("a failure with another error behind it is of another kind", () => {
  const { lines, failures } = createLog();
  failures.tell(failure(1, { cause: new Error("a") }));
  failures.tell(failure(2, { cause: new RangeError("b") }));
  failures.tell(failure(3, { cause: "no error" }));
  expect(told(lines).map(({ id }) => id)).toEqual([1, 2, 3]);
  failures.close();
});

test("closing writes the counted failures and stops the timer, and later failures are written", () => {
  const { lines, failures } = createLog();
  failures.tell(failure(1));
  failures.tell(failure(2));
  failures.tell(failure(3));
  expect(vi.getTimerCount()).toBe(1);
  failures.close();
  expect(vi.getTimerCount()).toBe(0);
  expect(told(lines)).toEqual([{ id: 1 }, { id: 2, count: 2 }]);
  failures.tell(failure(4));
  expect(told(lines).at(-1)).toEqual({ id: 4 });
  expect(vi.getTimerCount()).toBe(0);
});

test("the timer stops by itself after a while without failures", () => {
  const { failures } = createLog();
  failures.tell(failure(1));
  vi.advanceTimersByTime(120_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("at level debug each failure has its line; at a higher level than its own it has none", () => {
  const debug = createLog("debug");
  const warn = createLog("warn");
  for (let id = 0; id < 10; id++) {
    debug.failures.tell(failure(id));
    warn.failures.tell(failure(id));
  }
  expect(debug.lines).toHaveLength(10);
  expect(warn.lines).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
