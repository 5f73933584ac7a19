/**
 * Requests that cannot be read: frames, compression, messages. They are not run, and their errors
 * differ from faults of the server.
 */
import { gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { expectFailure, expectLine, expectService, type Failure, withId } from "./expect.ts";
import { OVER_MESSAGE_BYTES, useServer } from "./fixture.ts";
import {
  bodyRequest,
  callRequest,
  envelope,
  isEnveloped,
  POST_WIRES,
  payloadRequest,
  type RawRequest,
  readMessage,
  type Wire,
} from "./wire.ts";

const { set, get } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const { serverReflectionInfo } = ServerReflection.method;

const malformed: Failure = { code: "invalid_argument", reason: "MALFORMED_REQUEST" };
/** The protocols demand this code. */
const unnamed: Failure = { code: "internal", reason: "MALFORMED_REQUEST" };
const unsupported: Failure = { code: "unimplemented", reason: "REQUEST_UNSUPPORTED" };
const tooLarge: Failure = { code: "resource_exhausted", reason: "VALUE_TOO_LARGE" };

/** The key in every request; it must not be in the log. */
const SECRET = "s3cret";

/**
 * A message that the method takes. In protobuf one message serves all methods: a second field that
 * is no text is skipped.
 */
function good(wire: Wire, method: DescMethod): Buffer {
  return Buffer.from(
    wire.codec === "proto" ? `\u0012\u0006${SECRET}` : `{"${TEXT_FIELDS.get(method) ?? "key"}":"${SECRET}"}`,
  );
}

const TEXT_FIELDS = new Map<DescMethod, string>([
  [scan, "prefix"],
  [serverReflectionInfo, "host"],
]);

/** 10 MB of zeros in 10 kB. */
const BOMB = gzipSync(Buffer.alloc(10_000_000));
const WRONG_CHECKSUM = 8;

type Case = readonly [
  name: string,
  failure: Failure,
  request: (wire: Wire, method: DescMethod) => RawRequest,
];

const framed = (
  name: string,
  failure: Failure,
  body: (good: Buffer) => Buffer,
  headers: (wire: Wire) => Record<string, string> = () => ({}),
): Case => [
  name,
  failure,
  (wire, method) => bodyRequest(wire, method, body(good(wire, method)), headers(wire)),
];

const encoded = (wire: Wire, encoding: string) =>
  wire.protocol === "connect"
    ? { "connect-content-encoding": encoding, "connect-accept-encoding": "gzip" }
    : { "grpc-encoding": encoding, "grpc-accept-encoding": "gzip" };

const gzipped = (name: string, failure: Failure, payload: (good: Buffer) => Buffer): Case =>
  framed(
    name,
    failure,
    (message) => envelope(payload(message), 1),
    (wire) => encoded(wire, "gzip"),
  );

/** For calls with messages in envelopes. */
const ENVELOPE_CASES: readonly Case[] = [
  framed("no message", unsupported, () => Buffer.alloc(0)),
  framed("two messages", unsupported, (message) => Buffer.concat([envelope(message), envelope(message)])),
  framed("the end within the head", malformed, () => Buffer.from([0, 0, 0])),
  framed("the end within the message", malformed, (message) => envelope(message, 0, message.length + 1)),
  framed("a head after the message", malformed, (message) =>
    Buffer.concat([envelope(message), Buffer.alloc(3)]),
  ),
  framed("the promise of one byte too many", tooLarge, (message) => envelope(message, 0, OVER_MESSAGE_BYTES)),
  framed("the promise of 4 GiB", tooLarge, (message) => envelope(message, 0, 0xffffffff)),
  framed("one byte too many", tooLarge, () => envelope(Buffer.alloc(OVER_MESSAGE_BYTES))),
  framed("far too many bytes", tooLarge, () => envelope(Buffer.alloc(3_000_000))),
  framed("compressed, without a word how", unnamed, (message) => envelope(gzipSync(message), 1)),
  framed(
    "unknown compression",
    unsupported,
    (message) => envelope(message, 1),
    (wire) => encoded(wire, "snappy"),
  ),
  framed(
    "unknown compression, whose name makes the answer long enough to be compressed",
    unsupported,
    (message) => envelope(message, 1),
    (wire) => encoded(wire, "x".repeat(2000)),
  ),
  gzipped("what is not gzip", malformed, (message) => message),
  gzipped("half of a gzip", malformed, (message) => gzipSync(message).subarray(0, -12)),
  gzipped("gzip with a wrong checksum", malformed, (message) =>
    Buffer.concat([gzipSync(message).subarray(0, -WRONG_CHECKSUM), Buffer.alloc(WRONG_CHECKSUM)]),
  ),
  gzipped("gzip bomb", tooLarge, () => BOMB),
];

/** For Connect's unary calls, whose body is the message. */
const BODY_CASES: readonly Case[] = [
  framed("one byte too many", tooLarge, () => Buffer.alloc(OVER_MESSAGE_BYTES, " ")),
  framed("far too many bytes", tooLarge, () => Buffer.alloc(3_000_000, " ")),
  ...[
    ["unknown compression", unsupported, "snappy"] as const,
    ["unknown compression, whose name makes the answer long", unsupported, "x".repeat(2000)] as const,
    ["what is not gzip", malformed, "gzip"] as const,
  ].map(([name, failure, encoding]) =>
    framed(
      name,
      failure,
      (message) => message,
      () => ({ "content-encoding": encoding, "accept-encoding": "gzip" }),
    ),
  ),
  framed(
    "half of a gzip",
    malformed,
    (message) => gzipSync(message).subarray(0, -12),
    () => ({ "content-encoding": "gzip" }),
  ),
  framed(
    "gzip bomb",
    tooLarge,
    () => BOMB,
    () => ({ "content-encoding": "gzip" }),
  ),
];

const fixture = useServer();

describe.each(POST_WIRES)("$name", (wire) => {
  describe.each([set, scan])("$name", (method) => {
    const cases = isEnveloped(wire, method) ? ENVELOPE_CASES : BODY_CASES;

    test.each(cases)("%s", async (_name, failure, request) => {
      const sent = request(wire, method);
      const failed = await expectFailure(fixture.server, fixture.on(wire), sent, failure, [SECRET]);
      expect(await expectService(fixture.on(wire), wire)).toBe(failed.localPort);
    });

    test.each(["", "s3cret", "-1", "1.5", "12345678901", "1S1S"])("deadline %j", async (deadline) => {
      const name = wire.protocol === "connect" ? "connect-timeout-ms" : "grpc-timeout";
      const request = payloadRequest(wire, method, good(wire, method), { [name]: deadline });
      await expectFailure(fixture.server, fixture.on(wire), request, malformed, [SECRET]);
      await expectService(fixture.on(wire), wire);
    });

    // The protocols give these flags no meaning. Connect reads on, others refuse.
    test.each(isEnveloped(wire, method) ? [0x02, 0x04, 0x40, 0x80] : [])(
      "envelope with flag %i",
      async (flag) => {
        const sent = withId(bodyRequest(wire, method, envelope(good(wire, method), flag)));
        const answer = await fixture.on(wire).call(sent);
        expect(answer).toMatchObject({
          httpStatus: 200,
          code: expect.stringMatching(/^(ok|invalid_argument|unimplemented)$/),
        });
        const { parent, name } = method;
        await expectLine(fixture.server, sent.id, {
          service: parent.typeName,
          call: name,
          code: answer.code ?? "",
          namespace: undefined,
        });
        await expectService(fixture.on(wire), wire);
      },
    );
  });

  test("nothing of this was run", async () => {
    const key = `${wire.name} unrun`;
    const message = Buffer.from(callRequest(wire, set, { key, value: Buffer.from("x") }).body ?? []);
    const bodies = isEnveloped(wire, set)
      ? [Buffer.concat([message, message]), Buffer.concat([message, Buffer.alloc(2)])]
      : [message.subarray(0, -1)];
    for (const body of bodies) {
      const answer = await fixture.on(wire).call(bodyRequest(wire, set, body));
      expect(answer.code).not.toBe("ok");
    }
    const read = await fixture.on(wire).call(callRequest(wire, get, { key }));
    expect(read.code).toBe("not_found");
  });

  test("a compressed request, and one that is only announced as compressed", async () => {
    const key = `${wire.name} zip`;
    const value = Buffer.alloc(5000, "z");
    const { body = new Uint8Array() } = callRequest(wire, set, { key, value });
    const headers =
      wire.protocol === "connect" ? { "content-encoding": "gzip" } : { "grpc-encoding": "gzip" };
    const zipped = isEnveloped(wire, set) ? envelope(gzipSync(body.subarray(5)), 1) : gzipSync(body);
    const written = await fixture.on(wire).call(bodyRequest(wire, set, zipped, headers));
    expect(written.code).toBe("ok");
    if (isEnveloped(wire, set)) {
      expect((await fixture.on(wire).call(bodyRequest(wire, set, body, headers))).code).toBe("ok");
    }
    const read = await fixture.on(wire).call(callRequest(wire, get, { key }));
    expect(Buffer.compare(readMessage(get, wire, read).value, value)).toBe(0);
  });
});

describe.each(POST_WIRES.filter(({ http }) => http === 2))("a stream of requests, $name", (wire) => {
  test.each([
    ["garbage", malformed, envelope(Buffer.alloc(20, 0xff))],
    ["the end within the head", malformed, Buffer.from([0, 0, 0])],
    ["the end within the message", malformed, envelope(Buffer.alloc(2), 0, 3)],
    ["the promise of 2 GiB", tooLarge, envelope(Buffer.alloc(0), 0, 2 ** 31)],
    [
      "garbage after a message",
      malformed,
      Buffer.concat([envelope(good(wire, serverReflectionInfo)), envelope(Buffer.alloc(9, 0xff))]),
    ],
  ])("%s", async (_name, failure, body) => {
    const request = bodyRequest(wire, serverReflectionInfo, body);
    await expectFailure(fixture.server, fixture.on(wire), request, failure, [SECRET]);
    await expectService(fixture.on(wire), wire);
  });
});
