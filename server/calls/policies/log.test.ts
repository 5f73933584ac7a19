import { expect, test } from "vitest";
import { KeyValueTransactionInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { PrismError } from "../../errors.ts";
import type { Failure } from "../failure-log.ts";
import { readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import { createLogPolicy } from "./log.ts";

/** What the policy tells of a call that ends with this error. */
function told(error: PrismError, namespace = ""): { readonly kind: string; readonly fields: object } {
  const failures: Failure[] = [];
  const log = { isLevelEnabled: () => true, debug: () => {} };
  const policy = createLogPolicy({
    log: log as never,
    tell: (failure) => void failures.push(failure),
    close: () => {},
  });
  const row = readMethod(KeyValueTransactionInterface.method.commit, 0);
  const record = new CallRecord(row, "id-1", { header: () => undefined, socket: {} });
  record.enter({ namespace });
  const hooks = policy.on(row);
  hooks?.finish?.(record, error, true);
  const [failure] = failures;
  return { kind: failure?.kind ?? "", fields: failure?.fields() ?? {} };
}

test("the place of an item makes no kind of its own", () => {
  const of = (index: number) =>
    told(new PrismError("invalid_field", "no", { field: `mutations[${index}].key` }));
  expect(of(3).kind).toBe(of(700).kind);
  expect(of(3).kind).toContain("mutations[].key");
});

test("a message that names keys of the caller is not in the log", () => {
  const apart = new PrismError("not_atomic", 'the keys "s3cret" and "other" are on different shards');
  expect(JSON.stringify(told(apart).fields)).not.toContain("s3cret");
  expect(told(new PrismError("counter_overflow", "too far")).fields).toMatchObject({ error: "too far" });
});

test.each([
  "namespace_not_found",
  "credentials_missing",
  "credentials_invalid",
  "permission_denied",
] as const)("%s: names that a caller makes up are no kinds of their own", (reason) => {
  const of = (namespace: string) => told(new PrismError(reason, "no"), namespace);
  expect(of("one").kind).toBe(of("two").kind);
  expect(of("one").fields).toMatchObject({ namespace: "one" });
  expect(told(new PrismError("store_full", "no"), "one").kind).toContain(" one ");
});
