import { expect, test, vi } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import {
  GetRequestSchema,
  GetResponseSchema,
  KeyValueBasicInterface,
} from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { describeService } from "../../../tests/helpers/plane.ts";
import { PrismError } from "../../errors.ts";
import type { Namespace } from "../../namespaces/live-namespace.ts";
import { type NamespaceRules, NO_RULES } from "../../namespaces/rules.ts";
import { readMethod } from "../methods.ts";
import type { Grant, Principal } from "../principal.ts";
import { CallRecord } from "../record.ts";
import { CallScope } from "../scope.ts";
import { type Authenticator, createAuthPolicy } from "./auth.ts";

const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const SET = readMethod(KeyValueBasicInterface.method.set, 0);

const reading = (namespaces: string, keyPrefix = ""): Grant => ({
  namespaces,
  permissions: ["read"],
  keyPrefix,
  methods: undefined,
});

/** A policy whose caller is `principal`, in front of the namespace "orders". */
function setUp(authenticate: Authenticator["authenticate"], plane: "data" | "admin" = "data") {
  let rules: NamespaceRules = NO_RULES;
  const namespaces = {
    find: (name: string) => (name === "orders" ? ({ name, rules } as Namespace) : undefined),
  };
  const policy = createAuthPolicy({ authenticator: { authenticate }, namespaces, plane });
  const begin = (namespace: string, row = GET) => {
    const record = new CallRecord(row, "id", { header: () => undefined, socket: {} });
    record.enter({ namespace, key: "k" });
    const call = new CallScope(0);
    const waits = policy.on(row)?.begin?.(record, call);
    return { record, call, waits };
  };
  return {
    policy,
    begin,
    setRules(changed: NamespaceRules) {
      rules = changed;
    },
  };
}

const refusal = (run: () => unknown): readonly string[] | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof PrismError ? [error.reason, error.message] : [String(error)];
  }
  return undefined;
};

test("a method for everybody has no hooks", () => {
  const { policy } = setUp(() => expect.unreachable());
  expect(policy.on(readMethod(Health.method.check, 0))).toBeUndefined();
  expect(policy.on(GET)).toBeDefined();
});

test("a method that names no namespace cannot be granted to anybody", () => {
  const { policy } = setUp(() => expect.unreachable());
  const row = { ...GET, namespaceField: undefined };
  expect(() => policy.on(row)).toThrow(TypeError);
  expect(setUp(() => expect.unreachable(), "admin").policy.on(row)).toBeDefined();
});

test("the record has the caller, and the call has what it may touch", () => {
  const principal = { name: "a", grants: [reading("orders", "a/"), reading("default")] };
  const { begin } = setUp(() => principal);
  // Twice, because the second answer is remembered.
  for (let i = 0; i < 2; i++) {
    const { record, call, waits } = begin("orders");
    expect(waits).toBeUndefined();
    expect(record.principal).toBe(principal);
    expect(call.keyPrefixes).toEqual(["a/"]);
    expect(begin("").call.keyPrefixes).toBeUndefined();
  }
});

test("a caller that is found out later", async () => {
  const principal = { name: "a", grants: [reading("orders", "a/")] };
  const { begin } = setUp(async () => principal);
  const { record, call, waits } = begin("orders");
  expect(record.principal).toBeUndefined();
  await waits;
  expect([record.principal, call.keyPrefixes]).toEqual([principal, ["a/"]]);
  await expect(begin("other").waits).rejects.toMatchObject({ reason: "permission_denied" });
});

test("refused: the same words whether the namespace is there or not", () => {
  const { begin } = setUp(() => ({ name: "a", grants: [reading("mine")] }));
  const denied = ["permission_denied", "the caller may not make this call on this namespace"];
  for (const name of ["orders", "nowhere", "", "Not a name"]) {
    expect(refusal(() => begin(name))).toEqual(denied);
    expect(refusal(() => begin(name, SET))).toEqual(denied);
  }
  expect(refusal(() => begin("mine", SET))).toEqual(denied);
  expect(refusal(() => begin("mine"))).toBeUndefined();
});

test("other rules of the namespace count at once, whatever is remembered", () => {
  const principal: Principal = { name: "user-api.prod.eu", grants: [] };
  const { begin, setRules } = setUp(() => principal);
  const consumer = {
    servicePattern: "user-api.*",
    permissions: ["read"],
    keyPrefix: "a/",
    methods: undefined,
  };
  expect(refusal(() => begin("orders"))).toBeDefined();
  setRules({ ...NO_RULES, access: { owners: [], consumers: [consumer] } });
  expect(begin("orders").call.keyPrefixes).toEqual(["a/"]);
  setRules({ ...NO_RULES, access: { owners: [], consumers: [{ ...consumer, keyPrefix: "b/" }] } });
  expect(begin("orders").call.keyPrefixes).toEqual(["b/"]);
  setRules(NO_RULES);
  expect(refusal(() => begin("orders"))).toBeDefined();
});

test("names that stand for nothing are not remembered, and what is has a bound", () => {
  const callers = Array.from(
    { length: 5000 },
    (_, i): Principal => ({ name: `${i}`, grants: [reading("*")] }),
  );
  const next = vi.fn<() => Principal>();
  const { begin } = setUp(next);
  for (const each of callers) {
    next.mockReturnValue(each);
    expect(begin("orders").record.principal).toBe(each);
    expect(begin(`made-up-${each.name}`).call.keyPrefixes).toBeUndefined();
  }
});

test("on the admin plane permissions stand for roles", () => {
  const service = describeService(GetRequestSchema, GetResponseSchema, [{ name: "Do" }]);
  const method = service.method.do;
  if (method === undefined) {
    throw new TypeError("no method");
  }
  const row = readMethod(method, 0);
  for (const [permission, roles] of [
    ["read", ["viewer", "operator", "admin"]],
    ["write", ["operator", "admin"]],
    ["admin", ["admin"]],
  ] as const) {
    for (const adminRole of [undefined, "viewer", "operator", "admin"] as const) {
      const { begin } = setUp(() => ({ name: "a", grants: [reading("*")], adminRole }), "admin");
      const needed = { ...row, requireAuth: true, permissions: [permission] };
      const admitted = roles.some((each) => each === adminRole);
      expect(refusal(() => begin("", needed))?.[0]).toBe(admitted ? undefined : "permission_denied");
    }
  }
});
