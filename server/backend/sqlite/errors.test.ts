import { describe, expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { fromFailure, openError, reasonOf, toFailure, toPrismError } from "./errors.ts";

function sqliteError(errcode: number): Error {
  return Object.assign(new Error("driver text"), { code: "ERR_SQLITE_ERROR", errcode });
}

describe("what SQLite's result codes mean", () => {
  test.each([
    [13, "store_full"],
    [4874, "store_full"],
    [11, "corrupt_data"],
    [267, "corrupt_data"],
    [26, "corrupt_data"],
    [5, "store_unavailable"],
    [261, "store_unavailable"],
    [8, "store_unavailable"],
    [1032, "store_unavailable"],
    [10, "store_unavailable"],
    [778, "store_unavailable"],
    [14, "store_unavailable"],
    [18, "value_too_large"],
    [1, "internal"],
    [19, "internal"],
  ])("%i is %s", (errcode, reason) => {
    const error = sqliteError(errcode);
    expect(reasonOf(error)).toBe(reason);
    expect(toPrismError(error)).toMatchObject({
      reason,
      cause: error,
      message: expect.not.stringContaining("driver"),
    });
    expect(openError(error, "/data/prism.db").message).toContain("/data/prism.db cannot be ".slice(0, 14));
  });

  test("what is no error of SQLite is a defect", () => {
    expect(reasonOf(new TypeError("oops"))).toBe("internal");
    expect(reasonOf("oops")).toBe("internal");
    expect(reasonOf(Object.assign(new Error("oops"), { errcode: "5" }))).toBe("internal");
  });
});

describe("a failure that crosses threads", () => {
  test("arrives with its reason and message, and keeps the driver's text for the log", () => {
    const error = fromFailure(structuredClone(toFailure(sqliteError(13))));
    expect(error).toBeInstanceOf(PrismError);
    expect(error).toMatchObject({ reason: "store_full", message: "the store has no room left" });
    expect(error.cause).toMatchObject({ message: "driver text (SQLite result code 13)" });
  });

  test("a PrismError keeps what it says", () => {
    const original = new PrismError("corrupt_data", "damaged", { cause: "why" });
    expect(fromFailure(toFailure(original))).toMatchObject({
      reason: "corrupt_data",
      message: "damaged",
      cause: { message: "why" },
    });
    expect(toPrismError(original)).toBe(original);
    expect(openError(original, "path")).toBe(original);
  });

  test("a defect keeps its stack for the log", () => {
    expect(toFailure(new TypeError("oops"))).toMatchObject({ reason: "internal", message: "internal error" });
    expect(toFailure(new TypeError("oops")).detail).toContain("errors.test.ts");
  });
});

test("an open error that nothing is known of says at least which file", () => {
  expect(openError(new Error("odd"), "/data/prism.db")).toMatchObject({
    reason: "store_unavailable",
    message: "/data/prism.db cannot be opened: odd",
  });
  expect(openError("odd", "/data/prism.db").message).toBe("/data/prism.db cannot be opened: odd");
});
