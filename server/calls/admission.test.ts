import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import type { Consumer } from "../namespaces/rules.ts";
import { admissionOf } from "./admission.ts";
import { readMethod } from "./methods.ts";
import type { Grant, Permission } from "./principal.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const SET = readMethod(KeyValueBasicInterface.method.set, 0);
const BOTH = { ...GET, permissions: ["read", "write"] as const };

const grant = (namespaces: string, permissions: readonly Permission[], keyPrefix = ""): Grant => ({
  namespaces,
  permissions,
  keyPrefix,
  methods: undefined,
});

const caller = (...grants: Grant[]) => ({ name: "user-api.prod.eu", grants });

const consumer = (servicePattern: string, permissions: readonly string[], keyPrefix = ""): Consumer => ({
  servicePattern,
  permissions,
  keyPrefix,
  methods: undefined,
});

test.each<[string, string, boolean]>([
  ["orders", "orders", true],
  ["orders", "orders2", false],
  ["orders", "order", false],
  ["orders*", "orders", true],
  ["orders*", "orders2", true],
  ["orders*", "order", false],
  ["*", "anything", true],
])("a grant for %j on %j: %j", (namespaces, namespace, admitted) => {
  expect(admissionOf(caller(grant(namespaces, ["read"])), [], GET, namespace) !== undefined).toBe(admitted);
});

test("nothing is granted by nothing, by another permission, or for another call", () => {
  const [read] = [grant("orders", ["read"])];
  expect(admissionOf(caller(), [], GET, "orders")).toBeUndefined();
  expect(admissionOf(caller(read), [], SET, "orders")).toBeUndefined();
  expect(admissionOf(caller(grant("orders", ["write"])), [], GET, "orders")).toBeUndefined();
  expect(admissionOf(caller({ ...read, methods: ["Scan"] }), [], GET, "orders")).toBeUndefined();
  expect(admissionOf(caller({ ...read, methods: ["Scan", "Get"] }), [], GET, "orders")).toBeDefined();
});

test("admin includes the other permissions", () => {
  for (const row of [GET, SET, BOTH]) {
    expect(admissionOf(caller(grant("orders", ["admin"])), [], row, "orders")).toBeDefined();
  }
});

test("consumers of the namespace add to what the caller's grants allow", () => {
  const consumers = [consumer("user-api.prod.*", ["read"])];
  expect(admissionOf(caller(), consumers, GET, "orders")).toEqual({ keyPrefixes: undefined });
  expect(admissionOf(caller(), consumers, SET, "orders")).toBeUndefined();
  expect(admissionOf({ name: "user-api.test", grants: [] }, consumers, GET, "orders")).toBeUndefined();
});

test.each<[string, readonly Grant[], readonly string[] | undefined]>([
  ["one prefix", [grant("orders", ["read"], "a/")], ["a/"]],
  ["two", [grant("orders", ["read"], "a/"), grant("*", ["read"], "b/")], ["a/", "b/"]],
  ["one within the other", [grant("orders", ["read"], "a/b/"), grant("*", ["read"], "a/")], ["a/"]],
  ["twice the same", [grant("orders", ["read"], "a/"), grant("*", ["read"], "a/")], ["a/"]],
  ["all keys besides", [grant("orders", ["read"], "a/"), grant("*", ["read"])], undefined],
  ["a prefix of another permission", [grant("orders", ["read"], "a/"), grant("orders", ["write"])], ["a/"]],
  ["a prefix in another namespace", [grant("orders", ["read"], "a/"), grant("other", ["read"])], ["a/"]],
])("key prefixes: %s", (_, grants, keyPrefixes) => {
  expect(admissionOf(caller(...grants), [], GET, "orders")).toEqual({ keyPrefixes });
});

test("a method with two permissions is for keys that have both", () => {
  const prefixes = (...grants: Grant[]) => admissionOf(caller(...grants), [], BOTH, "orders")?.keyPrefixes;
  expect(prefixes(grant("*", ["read"], "a/"), grant("*", ["write"], "a/b/"))).toEqual(["a/b/"]);
  expect(prefixes(grant("*", ["read"]), grant("*", ["write"], "w/"))).toEqual(["w/"]);
  const apart = caller(grant("*", ["read"], "a/"), grant("*", ["write"], "b/"));
  expect(admissionOf(apart, [], BOTH, "orders")).toBeUndefined();
});
