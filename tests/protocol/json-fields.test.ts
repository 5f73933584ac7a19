/**
 * JSON that does not say what its caller means. It is refused on every path, with the field's name.
 */
import { gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { expectFailure, expectService, type Failure } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { callRequest, GET_WIRES, POST_WIRES, payloadRequest, type RawRequest, type Wire } from "./wire.ts";

const { set, get, exists, delete: remove } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const { pushLeft } = ListBasicInterface.method;
const { check } = Health.method;
const { serverReflectionInfo } = ServerReflection.method;

const json = (protocol: Wire["protocol"], http: Wire["http"]): Wire => ({
  name: `${protocol} json HTTP/${http === 1 ? "1.1" : "2"}`,
  protocol,
  codec: "json",
  http,
});
const JSON_WIRES: readonly Wire[] = [
  ...POST_WIRES.filter(({ codec }) => codec === "json"),
  json("grpc", 2),
  json("grpc-web", 1),
  json("grpc-web", 2),
];
const JSON_GET_WIRES = GET_WIRES.filter(({ codec }) => codec === "json");

/** In values and keys; it must not be in the log. */
const SECRET = "s3cret";

const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });

type Case = readonly [text: string, method: DescMethod, field: string, message: RegExp];

const CASES: readonly Case[] = [
  ['{"key":"s3cret","valeu":"Ynll"}', set, "valeu", /"valeu"; did you mean "value"\?/],
  [
    '{"key":"s3cret","ttl":5}',
    set,
    "ttl",
    /"ttl"; did you mean "ttlSeconds"\? expected one of: .*ttlSeconds, ttl_seconds/,
  ],
  ['{"namspace":"s3cret","key":"a"}', set, "namspace", /did you mean "namespace"/],
  ['{"namspace":"s3cret","key":"a"}', get, "namspace", /did you mean "namespace"/],
  ['{"key":"s3cret","keys":"a"}', remove, "keys", /did you mean "key"/],
  ['{"key":"s3cret","nope":[[{"a":[]}]]}', exists, "nope", /has no field "nope"/],
  ['{"prefixx":"s3cret"}', scan, "prefixx", /did you mean "prefix"/],
  ['{"servce":"s3cret"}', check, "servce", /did you mean "service"/],
  ['{"key":"s3cret","value":"hello world"}', set, "value", /value is not base64: bytes are base64/],
  ['{"key":"s3cret","value":"aGVs bG8="}', set, "value", /value is not base64/],
  ['{"key":"s3cret","value":5}', set, "value", /value is not base64/],
  ['{"listKey":"s3cret","value":"YQ==YQ=="}', pushLeft, "value", /value is not base64/],
];

const zip = (request: RawRequest): RawRequest => {
  const { body = Buffer.alloc(0), headers, wire } = request;
  if (wire.protocol === "connect" && headers["content-type"] === "application/json") {
    return { ...request, body: gzipSync(body), headers: { ...headers, "content-encoding": "gzip" } };
  }
  const packed = gzipSync(body.subarray(5));
  const head = Buffer.alloc(5);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(packed.length, 1);
  const prefix = wire.protocol === "connect" ? "connect-content" : "grpc";
  const accept = wire.protocol === "connect" ? "connect-accept" : "grpc-accept";
  const encodings = { [`${prefix}-encoding`]: "gzip", [`${accept}-encoding`]: "identity" };
  return { ...request, body: Buffer.concat([head, packed]), headers: { ...headers, ...encodings } };
};

describe("by default", () => {
  const fixture = useServer();

  describe.each(JSON_WIRES)("$name", (wire) => {
    test.each(CASES)("%s", async (text, method, field, message) => {
      const plain = payloadRequest(wire, method, Buffer.from(text));
      for (const request of [plain, zip(plain)]) {
        const failed = await expectFailure(fixture.server, fixture.on(wire), request, invalid(field), [
          SECRET,
        ]);
        expect(failed.message).toMatch(message);
        expect(await expectService(fixture.on(wire), wire)).toBe(failed.localPort);
      }
    });

    test("nothing of this was written", async () => {
      const there = await fixture.on(wire).call(callRequest(wire, get, { key: SECRET }));
      expect(there.code).toBe("not_found");
    });
  });

  describe.each(JSON_GET_WIRES)("$name", (wire) => {
    test.each(CASES.filter(([, method]) => method === get || method === exists))(
      "%s",
      async (text, method, field, message) => {
        const request = payloadRequest(wire, method, Buffer.from(text));
        const failed = await expectFailure(fixture.server, fixture.on(wire), request, invalid(field), [
          SECRET,
        ]);
        expect(failed.message).toMatch(message);
      },
    );
  });

  test.each(JSON_WIRES.filter(({ http }) => http === 2))(
    "$name: in a stream, and deep in it",
    async (wire) => {
      const request = payloadRequest(
        wire,
        serverReflectionInfo,
        Buffer.from('{"fileContainingExtension":{"containingTyp":"s3cret"}}'),
      );
      for (const each of [request, zip(request)]) {
        const field = "file_containing_extension.containingTyp";
        const failed = await expectFailure(fixture.server, fixture.on(wire), each, invalid(field), [SECRET]);
        expect(failed.message).toMatch(/did you mean "containingType"/);
      }
    },
  );

  test("both spellings of a field are known", async () => {
    for (const text of ['{"key":"both","ttlSeconds":9}', '{"key":"both","ttl_seconds":"9","value":"YQ"}']) {
      for (const wire of JSON_WIRES) {
        const answer = await fixture.on(wire).call(payloadRequest(wire, set, Buffer.from(text)));
        expect(answer.code).toBe("ok");
      }
    }
  });
});

describe("json_unknown_fields: ignore", () => {
  const fixture = useServer((config) => ({
    ...config,
    server: { ...config.server, jsonUnknownFields: "ignore" },
  }));

  test.each([...JSON_WIRES, ...JSON_GET_WIRES])("$name", async (wire) => {
    const text = Buffer.from('{"key":"a","nope":[[{"a":[]}],1e3,"\\"",null]}');
    const answer = await fixture.on(wire).call(payloadRequest(wire, exists, text));
    expect(answer).toMatchObject({ code: "ok", httpStatus: 200 });
  });
});
