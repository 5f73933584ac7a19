import {
  create,
  type DescMessage,
  equals,
  fromJsonString,
  type Message,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { anyInit, everyKind } from "../../tests/helpers/any-message.ts";
import { SERVICES } from "../services/services.ts";
import { createJsonReader, type UnknownFields } from "./json-reader.ts";
import { messageLimits } from "./message-limits.ts";

const MAX_VALUE_BYTES = 4 * 1024 * 1024;
const setRequest: DescMessage = KeyValueBasicInterface.method.set.input;
const { input: reflectionRequest } = ServerReflection.method.serverReflectionInfo;

function read(desc: DescMessage, text: string, unknownFields: UnknownFields = "reject"): Message {
  const reader = createJsonReader(desc, messageLimits(desc, MAX_VALUE_BYTES), unknownFields);
  return reader(Buffer.from(text));
}

/** The error of reading; `undefined` = none. */
function failure(desc: DescMessage, text: string, unknownFields: UnknownFields = "reject"): unknown {
  try {
    read(desc, text, unknownFields);
    return undefined;
  } catch (error) {
    return error;
  }
}

const invalid = (field: string, message: string | RegExp) => ({
  reason: "invalid_field",
  field,
  message: expect.stringMatching(message),
});
const MALFORMED = { reason: "malformed_request" };
const TOO_LARGE = { reason: "value_too_large" };

describe("reads what protobuf-es writes, and as it does", () => {
  const types = [everyKind(), ...new Set(SERVICES.flatMap((each) => each.methods).map(({ input }) => input))];

  test.each(types.map((desc) => [desc.typeName, desc] as const))("%s", (_name, desc) => {
    fc.assert(
      fc.property(anyInit(desc, 2), fc.boolean(), fc.constantFrom(0, 2), (init, useProtoFieldName, space) => {
        const message = create(desc, init) as Message;
        const compact = toJsonString(desc, message, { useProtoFieldName });
        const text = JSON.stringify(JSON.parse(compact), undefined, space);
        // Compared by bytes, because `equals` says that NaN differs from NaN.
        const expected = toBinary(desc, fromJsonString(desc, compact) as Message);
        expect(toBinary(desc, read(desc, text))).toEqual(expected);
      }),
      { numRuns: desc.typeName === "t.Every" ? 500 : 30 },
    );
  });

  test.each([
    '{"key":"a\\u0000\\n\\"\\\\\\/\\ud83d\\ude00é","value":"\\u0059Q=\\u003d","ttlSeconds":null}',
    ' \t\r\n{ "key" : "a" , "value" : null , "ttl_seconds" : "12" } \n',
    '{"k\\u0065y":"a","ttlSeconds":1e3}',
    "{}",
  ])("%s", (text) => {
    expect(equals(setRequest, read(setRequest, text), fromJsonString(setRequest, text) as Message)).toBe(
      true,
    );
  });
});

describe("refuses what JSON does not allow", () => {
  test("as JSON.parse does", () => {
    const piece = fc.constantFrom(
      ...[
        '{"',
        '":',
        '"key"',
        '"value"',
        '"ttlSeconds"',
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"',
        "\\",
        "\\u00",
        "\\n",
      ],
      ...["\n", " ", "0", "1", "-", ".5", "e7", "null", "true", "nul", '"a"', '"YQ=="', "\u0001", "é"],
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        for (const text of [pieces.join(""), `{"key":${pieces.join("")}}`, `{"no":${pieces.join("")}}`]) {
          const theirs = outcome(() => fromJsonString(setRequest, text, { ignoreUnknownFields: true }));
          const ours = outcome(() => read(setRequest, text, "ignore"));
          // Except base64, of which protobuf-es takes more forms, and repeated names in ignored
          // fields.
          if (ours !== undefined || !/"value"|"no"/.test(text)) {
            expect(ours === undefined || (theirs !== undefined && equals(setRequest, ours, theirs))).toBe(
              true,
            );
            expect(ours === undefined).toBe(theirs === undefined);
          }
        }
      }),
      { numRuns: 20_000 },
    );
  });

  function outcome(run: () => Message): Message | undefined {
    try {
      return run();
    } catch {
      return undefined;
    }
  }

  test.each([
    "",
    "null",
    "[]",
    '""',
    '{"key":"a"}{}',
    '{"key":"a",}',
    '{"key":"a',
    '{"key":"a","k\\u0065y":"b"}',
  ])("%j", (text) => {
    expect(failure(setRequest, text)).toMatchObject(MALFORMED);
  });

  test("a field under both of its names", () => {
    expect(failure(setRequest, '{"ttlSeconds":1,"ttl_seconds":2}')).toMatchObject(MALFORMED);
  });
});

describe("fields that a message does not have", () => {
  test.each([
    ['{"key":"h","valeu":"Ynll"}', "valeu", /SetRequest has no field "valeu"; did you mean "value"\?/],
    ['{"ttl":5}', "ttl", /expected one of: namespace, key, value, ttlSeconds, ttl_seconds$/],
    ['{"namspace":"mem"}', "namspace", /did you mean "namespace"/],
    ['{"Key":"a"}', "Key", /did you mean "key"/],
    ['{"__proto__":{"key":"a"}}', "__proto__", /no field/],
    ['{"constructor":1}', "constructor", /no field/],
    ['{"\\u0000\\u009b\\u202e\\ud800":1}', "\\u0000\\u{9b}\\u{202e}\\ud800", /\\u\{9b\}/],
    [`{"${"a".repeat(5000)}":1}`, "a".repeat(60), /^.{100,200}$/],
  ])("%.60j", (text, field, message) => {
    expect(failure(setRequest, text)).toMatchObject(invalid(field, message));
    expect(failure(setRequest, text, "ignore")).toBeUndefined();
  });

  test("in messages within it, with the way to them", () => {
    const nested = '{"fileContainingExtension":{"containing_typ":"a"}}';
    expect(failure(reflectionRequest, nested)).toMatchObject(
      invalid("file_containing_extension.containing_typ", /ExtensionRequest.*did you mean "containing_type"/),
    );
    const repeated = '{"fieldViolations":[{"field":"a"},{"feild":"b"}]}';
    expect(failure(ErrorSchema, repeated)).toMatchObject(
      invalid("field_violations[1].feild", /did you mean "field"/),
    );
  });

  test("ignored, they still have to be JSON, and small", () => {
    for (const text of ["[1,2", "[1 2]", "{]", "01", "tru", '"\u0001"', "[1}"]) {
      expect(failure(setRequest, `{"no":${text}}`, "ignore")).toMatchObject(MALFORMED);
    }
    expect(failure(setRequest, `{"no":${"[".repeat(100)}${"]".repeat(100)}}`, "ignore")).toMatchObject(
      MALFORMED,
    );
    expect(failure(setRequest, `{"no":"${"a".repeat(20_000)}"}`, "ignore")).toMatchObject(TOO_LARGE);
  });
});

test.each(["hello world", "YQ=", "Y", "a b=", "YQ==\\n", "+_+_"])("bytes are base64, not %j", (value) => {
  const error = invalid("value", /value is not base64: bytes are base64 or base64url in JSON/);
  expect(failure(setRequest, `{"value":"${value}"}`)).toMatchObject(error);
  expect(failure(setRequest, '{"value":[1,2,3]}')).toMatchObject(error);
  expect(failure(setRequest, '{"value":5}')).toMatchObject(error);
});

describe("what is large", () => {
  test("is what its values explain", () => {
    const value = Buffer.alloc(MAX_VALUE_BYTES, "abc");
    expect(read(setRequest, JSON.stringify({ key: "a", value: value.toString("base64") }))).toMatchObject({
      key: "a",
      value,
    });
    for (const text of [
      `{"key":"${"a".repeat(20_000)}"}`,
      `{"${"a".repeat(20_000)}":1}`,
      `${" ".repeat(20_000)}{}`,
      `{"ttlSeconds":${"1".repeat(20_000)}}`,
    ]) {
      expect(failure(setRequest, text)).toMatchObject({
        reason: expect.stringMatching(/too_large|malformed/),
      });
    }
  });

  test("or what its items may have", () => {
    const items = (count: number) => `{"fieldViolations":[${"{},".repeat(count)}{}]}`;
    expect(failure(ErrorSchema, items(10_000))).toBeUndefined();
    expect(failure(ErrorSchema, items(30_000))).toMatchObject(TOO_LARGE);
  });
});
