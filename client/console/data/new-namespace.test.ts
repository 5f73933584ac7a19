import { expect, test } from "vitest";
import { NamespacePoliciesSchema } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { LIMIT_FIELDS, NAME_PATTERN, namespaceOf } from "./new-namespace.ts";

const typed = (fields: Readonly<Record<string, string>>) => namespaceOf((name) => fields[name] ?? "");

test("a name and a store are enough", () => {
  expect(typed({ name: " orders ", backend: "pg" })).toEqual({ name: "orders", backend: "pg" });
});

test("limits are in the units of the messages; none is left out", () => {
  const { policies } = typed({ name: "a", maxValueBytes: "64", maxRps: "1e3", burst: "0", maxEntries: "" });
  expect(policies).toEqual({ maxValueBytes: 65_536n, maxRps: 1000n, ttlForbidden: false });
  expect(typed({ name: "a", ttlForbidden: "on" }).policies).toEqual({ ttlForbidden: true });
});

test("each limit is a field of the message", () => {
  const names = NamespacePoliciesSchema.fields.map(({ localName }) => localName);
  expect(names).toEqual(expect.arrayContaining(LIMIT_FIELDS.map(({ name }) => name)));
});

test("the pattern is good for an input", () => {
  const pattern = new RegExp(`^(?:${NAME_PATTERN})$`, "v");
  expect(["a", "a-b_c.9", "a".repeat(63)].filter((name) => !pattern.test(name))).toEqual([]);
  expect(["", "A", "9a", "a b", "a".repeat(64)].filter((name) => pattern.test(name))).toEqual([]);
});
