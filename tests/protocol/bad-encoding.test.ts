/**
 * Invalid messages: JSON that does not parse or has wrong types, broken protobuf, text that is not
 * UTF-8; and requests that no method takes.
 */
import { describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { expectFailure, expectLine, expectService, type Failure, linesOf, withId } from "./expect.ts";
import { useServer } from "./fixture.ts";
import type { RawAnswer } from "./raw.ts";
import {
  callRequest,
  GET_WIRES,
  isEnveloped,
  methodPath,
  POST_WIRES,
  payloadRequest,
  type RawRequest,
  readMessage,
} from "./wire.ts";

const { set, get, exists } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;

const malformed: Failure = { code: "invalid_argument", reason: "MALFORMED_REQUEST" };
const notFound: Failure = { code: "unimplemented", reason: "METHOD_NOT_FOUND", httpStatus: 404 };
const unsupported: Failure = { code: "unimplemented", reason: "REQUEST_UNSUPPORTED" };

/** In the keys and values of every request; it must not be in the log. */
const SECRET = "s3cret";
const latin1 = (text: string) => Buffer.from(text, "latin1");

const BAD_JSON: readonly [string, Buffer][] = [
  ["nothing", latin1("")],
  ["half", latin1('{"key":"s3cret')],
  ["no quotes", latin1('{"key": s3cret}')],
  ["a comma too many", latin1('{"key":"s3cret",}')],
  ["two values", latin1('{"key":"s3cret"}{}')],
  ["text", latin1('"s3cret"')],
  ["list", latin1('["s3cret"]')],
  ["null", latin1("null")],
  ["number for text", latin1('{"key":4711,"value":"s3cret=="}')],
  ["object for text", latin1('{"key":{"s3cret":1}}')],
  ["text for number", latin1('{"key":"a","ttlSeconds":"s3cret"}')],
  ["fraction for number", latin1('{"key":"s3cret","ttlSeconds":1.5}')],
  ["number too large", latin1('{"key":"s3cret","ttlSeconds":"9223372036854775808"}')],
  ["field twice", latin1('{"key":"s3cret","key":"b"}')],
  ["not UTF-8", latin1('{"key":"s3cret\xff"}')],
  ["surrogate in UTF-8", latin1('{"key":"s3cret\xed\xa0\x80"}')],
  ["lone high surrogate", latin1('{"key":"s3cret\\ud800"}')],
  ["lone low surrogate", latin1('{"key":"\\udc00s3cret"}')],
  // Long enough for the error message to be cut, in one of the two cases within a pair of
  // surrogates.
  ["pairs of surrogates for a number", Buffer.from(`{"ttlSeconds":"${"\u{1f600}".repeat(200)}"}`)],
  [
    "pairs of surrogates for a number, one further",
    Buffer.from(`{"ttlSeconds":"a${"\u{1f600}".repeat(200)}"}`),
  ],
  ["lone surrogate in the namespace", latin1('{"key":"s3cret","namespace":"\\udc00"}')],
];

const BAD_PROTO: readonly [string, Buffer][] = [
  ["half", latin1("\x12\x07s3cret")],
  ["wire type 7", latin1("\x17\x01")],
  ["field 0", latin1("\x02\x01A")],
  ["endless varint", Buffer.alloc(20, 0xff)],
  ["length of 4 GiB", latin1("\x12\xff\xff\xff\xff\x0f")],
  ["group without an end", latin1("\x12\x06s3cret\x7b")],
  ["end without a group", latin1("\x7c")],
  ["JSON", latin1('{"key":"s3cret"}')],
  ["not UTF-8", latin1("\x12\x07s3cret\xff")],
  ["surrogate in UTF-8", latin1("\x12\x03\xed\xa0\x80")],
  ["overlong UTF-8", latin1("\x12\x02\xc0\x80")],
  ["not UTF-8 in the namespace", latin1("\x0a\x01\xff\x12\x01a")],
];

const fixture = useServer();

describe.each([...POST_WIRES, ...GET_WIRES])("$name", (wire) => {
  const method = wire.protocol === "connect-get" ? get : set;
  const bad = wire.codec === "json" ? BAD_JSON : BAD_PROTO;
  // To a GetRequest the value and the ttl are unknown fields.
  const applicable = method === set ? bad : bad.filter(([, bytes]) => !/value|ttl/.test(bytes.toString()));

  test.each(applicable)("%s", async (_name, payload) => {
    const request = payloadRequest(wire, method, payload);
    const failed = await expectFailure(fixture.server, fixture.on(wire), request, malformed, [SECRET]);
    expect(failed.message).not.toMatch(/internal/i);
    expect(await expectService(fixture.on(wire), wire)).toBe(failed.localPort);
  });

  test.each([
    ["method", "/prism.interfaces.keyvalue.KeyValueBasicInterface/Nope"],
    ["method in lower case", "/prism.interfaces.keyvalue.KeyValueBasicInterface/get"],
    ["service", "/no.Such/Get"],
    ["path after the method's", `${methodPath(get)}/more`],
    ["path that is no URL", "/%ff%fe/%zz"],
  ])("unknown %s", async (_name, path) => {
    const [, query] = payloadRequest(wire, method, latin1(SECRET)).path.split("?");
    const given = payloadRequest(wire, method, latin1(SECRET));
    // A GET has no Content-Type that would tell its protocol.
    const request = {
      ...given,
      path: query === undefined ? path : `${path}?${query}`,
      headers: { "content-type": "application/json", ...given.headers },
    };
    await expectFailure(fixture.server, fixture.on(wire), request, { ...notFound, namespace: "" }, [SECRET]);
    await expectService(fixture.on(wire), wire);
  });
});

describe.each(POST_WIRES)("$name", (wire) => {
  test.each([
    "text/plain",
    "application/xml",
    "",
    "application/grpc+thrift",
    "application/grpc-web-text",
    "application/connect+xml",
    "application/json; charset=latin1",
    'application/json; charset="utf-8',
    "application/json; charset = utf-8",
    "application/x-www-form-urlencoded",
  ])("Content-Type %j", async (type) => {
    const given = payloadRequest(wire, set, latin1(SECRET), { "content-type": type });
    const { headers, body } = await expectRefusal(given, 415);
    expect(headers["content-type"]).toBe("text/plain; charset=utf-8");
    expect(body.toString()).toMatch(/^use Content-Type application\/json /);
  });

  test.each([
    [";", "nothing behind the semicolon"],
    ["; foo=bar", "a parameter"],
    [';charset="utf-8"', "a quoted string"],
    [' ;\tCharset=UTF-8 ; a="\\"; b="', "white space, case, an escaped quote"],
  ])("Content-Type with %s: %s", async (parameters) => {
    const given = callRequest(wire, exists, { key: "a" });
    const type = `${given.headers["content-type"]}${parameters}`;
    const answer = await fixture
      .on(wire)
      .call({ ...given, headers: { ...given.headers, "content-type": type } });
    expect(readMessage(exists, wire, answer).exists).toBe(false);
  });

  test.each(["PUT", "DELETE", "PATCH", "GET", "HEAD", "OPTIONS"])("%s", async (httpMethod) => {
    const given = callRequest(wire, set, { key: SECRET });
    const bodiless = httpMethod === "GET" || httpMethod === "HEAD";
    const answer = await expectRefusal({ ...given, httpMethod, ...(bodiless && { body: undefined }) }, 405);
    expect(answer.headers.allow).toBe("POST");
    expect(httpMethod === "HEAD" ? "use POST" : String(answer.body)).toContain("use POST");
  });

  async function expectRefusal(request: RawRequest, httpStatus: number): Promise<RawAnswer> {
    const sent = withId(request);
    const answer = await fixture.on(wire).call(sent);
    expect(answer).toMatchObject({ httpStatus, messages: [], details: [] });
    const [, service, call] = request.path.split("/");
    await expectLine(fixture.server, sent.id, { service, call, code: expect.any(String), namespace: "" });
    expect(JSON.stringify(linesOf(fixture.server, sent.id))).not.toContain(SECRET);
    await expectService(fixture.on(wire), wire);
    return answer;
  }
});

describe.each(POST_WIRES.filter(({ protocol }) => protocol === "connect"))("$name", (wire) => {
  test.each([
    [
      scan,
      `application/${wire.codec}`,
      /^prism\..*\.Scan is a stream: use Content-Type application\/connect\+json,/,
    ],
    [
      exists,
      `application/connect+${wire.codec}`,
      /^prism\..*\.Exists is no stream: use Content-Type application/,
    ],
  ] as const)("$0.name as $1", async (method, type, message) => {
    const given = payloadRequest(wire, method, latin1(SECRET), { "content-type": type });
    const answer = await fixture.on(wire).call(withId(given));
    expect(answer).toMatchObject({
      httpStatus: 415,
      code: "unknown",
      message: expect.stringMatching(message),
    });
  });
});

describe.each(GET_WIRES)("$name: query", (wire) => {
  test.each<[string, Failure | number]>([
    ["", 415],
    ["encoding=xml&message=s3cret", 415],
    ["encoding=json&message=s3cret", malformed],
    ["encoding=json&base64=1&message=!!!", malformed],
    ["encoding=proto&base64=1&message=____", malformed],
    ["encoding=json&message=%7B%22key%22:%22%5Cud800%22%7D", malformed],
    ["encoding=json&compression=snappy&message={}", unsupported],
    ["encoding=json&base64=1&compression=gzip&message=s3cret", malformed],
  ])("%j", async (query, outcome) => {
    const given = callRequest(wire, exists, { key: SECRET });
    const request = { ...given, path: `${methodPath(exists)}?${query}` };
    if (typeof outcome === "number") {
      const answer = await fixture.on(wire).call(request);
      expect(answer).toMatchObject({ httpStatus: outcome, details: [] });
    } else {
      await expectFailure(fixture.server, fixture.on(wire), request, outcome, [SECRET]);
    }
    await expectService(fixture.on(wire), wire);
  });

  test.each([set, scan])("not for $name", async (method) => {
    const answer = await fixture.on(wire).call({
      ...payloadRequest(wire, method, latin1("")),
      headers: {},
    });
    expect(answer.httpStatus).toBe(405);
  });
});

test.each(POST_WIRES.filter(({ codec }) => codec === "proto"))(
  "$name: unknown fields of protobuf are ignored",
  async (wire) => {
    const payload = latin1("\x12\x01a\xfa\x3f\x01x");
    const answer = await fixture.on(wire).call(payloadRequest(wire, exists, payload));
    expect(readMessage(exists, wire, answer).exists).toBe(false);
    expect(isEnveloped(wire, exists)).toBe(wire.protocol !== "connect");
  },
);
