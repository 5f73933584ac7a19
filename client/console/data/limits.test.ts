import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NamespacePoliciesSchema } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { limitsInWords } from "./limits.ts";

test("limits that are set are told with their units", () => {
  const policies = create(NamespacePoliciesSchema, {
    maxValueBytes: 65_536n,
    maxRps: 1500n,
    maxTtlSeconds: 90n,
    ttlForbidden: false,
  });
  expect(limitsInWords(policies)).toEqual([
    ["Largest value", "64 KiB"],
    ["Calls a second", "1,500"],
    ["Longest time to live", "1 min 30 s"],
  ]);
  expect(limitsInWords(create(NamespacePoliciesSchema, { ttlForbidden: true }))).toEqual([
    ["Times to live", "no entry may have one"],
  ]);
});
