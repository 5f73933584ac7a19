import { expect, test } from "vitest";
import { toConnectError } from "../../calls/status.ts";
import { PrismError } from "../../errors.ts";
import { createCall } from "../contract.ts";
import { toPrismError } from "./errors.ts";

test("what a plugin says of its limits reaches the caller: why, and when there is room", () => {
  const refusal = new PrismError("rate_limited", "too many calls", { retryAfterMs: 7 });
  const wire = toConnectError(refusal, { requestId: "", namespace: "orders" });
  expect(toPrismError(wire, { call: createCall(), write: true })).toMatchObject({
    reason: "rate_limited",
    message: "too many calls",
    retryAfterMs: 7,
  });
});
