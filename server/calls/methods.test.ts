import { create, getOption, setExtension } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { AdminService } from "../../gen/prism/admin/v1/admin_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { any_caller, idempotent, required_permissions } from "../../gen/prism/options_pb.ts";
import { SERVICES } from "../services/services.ts";
import { readMethod } from "./methods.ts";

const own = SERVICES.filter(({ typeName }) => typeName.startsWith("prism.")).flatMap(
  ({ methods }) => methods,
);

test("the row of a write", () => {
  expect(readMethod(KeyValueBasicInterface.method.set, 0)).toEqual({
    desc: KeyValueBasicInterface.method.set,
    path: "/prism.interfaces.keyvalue.KeyValueBasicInterface/Set",
    kind: "unary",
    timeoutMs: 5000,
    writes: true,
    idempotent: true,
    cacheable: false,
    cacheTtlSeconds: 0,
    permissions: ["write"],
    polled: false,
    requireAuth: true,
    waits: false,
    rateLimitRps: 0,
    namespaceField: "namespace",
    keyField: "key",
  });
});

test("of a read, a push, a stream of responses and a stream of requests", () => {
  const { method } = ListBasicInterface;
  expect(readMethod(method.length, 0)).toMatchObject({
    writes: false,
    idempotent: true,
    keyField: "listKey",
    permissions: ["read"],
  });
  expect(readMethod(method.pushLeft, 0)).toMatchObject({ writes: true, idempotent: false });
  expect(readMethod(KeyValueScanInterface.method.scan, 0)).toMatchObject({
    kind: "server_streaming",
    timeoutMs: 0,
    writes: false,
    namespaceField: "namespace",
    keyField: undefined,
  });
  expect(readMethod(ServerReflection.method.serverReflectionInfo, 0)).toMatchObject({
    kind: "bidi_streaming",
    writes: true,
    requireAuth: false,
    permissions: [],
    namespaceField: undefined,
  });
});

test("a method of Prism says who may call it, or it has no row", () => {
  const { get } = KeyValueBasicInterface.method;
  const { check } = Health.method;
  const prism = { ...Health, typeName: "prism.own.Service" };
  expect(readMethod(check, 0)).toMatchObject({ requireAuth: false, permissions: [] });
  // Without either option, and with one of them.
  for (const desc of [
    { ...check, parent: prism },
    { ...get, parent: prism },
    { ...check, parent: KeyValueBasicInterface },
  ]) {
    expect(() => readMethod(desc, 0)).toThrow("does not say who may call it");
  }
});

test("or says that every caller may, and then needs no permission", () => {
  const { getCaller, getServer } = AdminService.method;
  expect(readMethod(getCaller, 0)).toMatchObject({ requireAuth: true, permissions: [] });
  const options = create(MethodOptionsSchema);
  setExtension(options, required_permissions, ["read"]);
  setExtension(options, any_caller, true);
  const desc = { ...getServer, proto: { ...getServer.proto, options } };
  expect(() => readMethod(desc, 0)).toThrow("does not say who may call it");
});

test("and names permissions that there are", () => {
  const { get } = KeyValueBasicInterface.method;
  const options = create(MethodOptionsSchema);
  setExtension(options, required_permissions, ["raed"]);
  const desc = { ...get, proto: { ...get.proto, options } };
  expect(() => readMethod(desc, 0)).toThrow("requires an unknown permission: raed");
});

test.each([
  [0, 5000],
  [100, 100],
  [9000, 5000],
])("a bound of %d ms for all calls makes that of Get %d ms", (maxTimeoutMs, timeoutMs) => {
  expect(readMethod(KeyValueBasicInterface.method.get, maxTimeoutMs)).toMatchObject({ timeoutMs });
});

test("that bound is the only one of a method without its own", () => {
  expect(readMethod(KeyValueScanInterface.method.scan, 100)).toMatchObject({ timeoutMs: 100 });
});

/** Those that make and delete what others write to. */
const ADMIN_CALLS: readonly string[] = ["CreateStream", "DeleteStream"];

describe.each(own.map((method) => [method.name, method] as const))(
  "what the proto says of %s agrees",
  (_, method) => {
    const row = readMethod(method, 0);

    test("prism.idempotent says what idempotency_level does", () => {
      expect(getOption(method, idempotent)).toBe(method.idempotency !== Level.IDEMPOTENCY_UNKNOWN);
    });

    test("a write needs the permission to write or, as an exception, to administrate; a read to read", () => {
      const write = ADMIN_CALLS.includes(method.name) ? "admin" : "write";
      expect(row.permissions).toEqual([row.writes ? write : "read"]);
    });

    test("a call with one answer is bounded, and names its namespace", () => {
      expect(row.kind !== "unary" || row.timeoutMs > 0).toBe(true);
      expect(row.namespaceField).toBe("namespace");
    });
  },
);
