import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorSchema, ReasonSchema, Reason as WireReason } from "../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { PrismClient } from "./client.ts";
import {
  type FailedCall,
  KeyNotFoundError,
  NamespaceNotFoundError,
  PrismError,
  toPrismError,
} from "./errors.ts";
import { markNotRun } from "./transport/not-run.ts";

const { set } = KeyValueBasicInterface.method;
const { popLeft } = ListBasicInterface.method;
const CALL: FailedCall = { namespace: "default", method: set, signal: new AbortController().signal };

function gatewayError(code: Code, reason: number, extra: object = {}): ConnectError {
  const value = create(ErrorSchema, { reason: reason as WireReason, message: "told", ...extra });
  return new ConnectError("status", code, undefined, [{ desc: ErrorSchema, value }]);
}

describe("an error of the gateway", () => {
  test.each(ReasonSchema.values)("keeps its reason: $localName", ({ number, localName }) => {
    const error = toPrismError(gatewayError(Code.NotFound, number), CALL);
    expect(error.reason).toBe(localName.toLowerCase());
    expect(error.message).toContain("told");
  });

  test("of a reason that is newer than this client is unspecified", () => {
    expect(toPrismError(gatewayError(Code.Internal, 999), CALL).reason).toBe("unspecified");
  });

  test("keeps what the detail says, and the cause", () => {
    const cause = gatewayError(Code.ResourceExhausted, WireReason.OVERLOADED, {
      retryable: true,
      retryAfterMs: 100,
      namespace: "orders",
      requestId: "r-1",
    });
    expect(toPrismError(cause, CALL)).toMatchObject({
      name: "PrismError",
      reason: "overloaded",
      code: Code.ResourceExhausted,
      retryable: true,
      retryAfterMs: 100,
      namespace: "orders",
      requestId: "r-1",
      cause,
    });
  });

  test("is a KeyNotFoundError for a missing key only", () => {
    const get = { ...CALL, key: "user:1" };
    const missing = toPrismError(gatewayError(Code.NotFound, WireReason.KEY_NOT_FOUND), get);
    expect(missing).toBeInstanceOf(KeyNotFoundError);
    expect(missing).toMatchObject({
      name: "KeyNotFoundError",
      key: "user:1",
      message: "key not found: user:1",
    });

    const unknown = toPrismError(gatewayError(Code.NotFound, WireReason.NAMESPACE_NOT_FOUND), get);
    expect(unknown).toBeInstanceOf(NamespaceNotFoundError);
    expect(unknown).not.toBeInstanceOf(KeyNotFoundError);
    // For example a proxy's 404.
    const bare = toPrismError(new ConnectError("HTTP 404", Code.NotFound), get);
    expect(bare).not.toBeInstanceOf(KeyNotFoundError);
    expect(bare).toMatchObject({ reason: "unspecified", code: Code.NotFound, retryable: false });
  });
});

describe("an error of another copy of the package", () => {
  test("is known by instanceof, each class as what it is", async () => {
    // The query makes it another module, with classes of its own.
    const other: typeof import("./errors.ts") = await import("./errors.ts?copy" as "./errors.ts");
    expect(other.PrismError).not.toBe(PrismError);
    const key = new other.KeyNotFoundError("user:1", {});
    const namespace = new other.NamespaceNotFoundError("told", {});
    const plain = other.invalidField("told");
    expect([key, namespace, plain].map((error) => error instanceof PrismError)).toEqual([true, true, true]);
    expect([key, namespace, plain].map((error) => error instanceof KeyNotFoundError)).toEqual([
      true,
      false,
      false,
    ]);
    expect(namespace).toBeInstanceOf(NamespaceNotFoundError);
    expect(toPrismError(key, CALL)).toBe(key);
    for (const thrown of [new Error("told"), { name: "PrismError" }, "PrismError", null, undefined]) {
      expect(thrown instanceof PrismError).toBe(false);
    }
  });

  test("is of no class that a caller derives", () => {
    class OwnError extends PrismError {}
    const init = { reason: "internal", code: Code.Internal } as const;
    expect(new OwnError("told", init)).toBeInstanceOf(OwnError);
    expect(new OwnError("told", init)).toBeInstanceOf(PrismError);
    expect(new PrismError("told", init)).not.toBeInstanceOf(OwnError);
  });
});

describe("an error of the transport", () => {
  const node = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  test.each([
    ["a socket that closed", new ConnectError("closed", Code.Canceled)],
    ["a reset", new ConnectError("reset", Code.Aborted)],
    ["an error of Node", new ConnectError("read", Code.Internal, undefined, undefined, node)],
    ["a proxy's 503", new ConnectError("HTTP 503", Code.Unavailable)],
  ])("is Unavailable: %s", (_what, thrown) => {
    const failed = {
      reason: "unspecified",
      code: Code.Unavailable,
      namespace: "default",
      requestId: undefined,
    };
    expect(toPrismError(thrown, CALL)).toMatchObject({ ...failed, retryable: true });
    expect(toPrismError(thrown, { ...CALL, method: popLeft })).toMatchObject({
      ...failed,
      retryable: false,
    });
  });

  test.each([
    ["told by the transport", new TypeError("Cannot read properties of undefined")],
    ["wrapped by Connect", ConnectError.from(new RangeError("Invalid array length"), Code.Internal)],
    ["with a code of Node's", Object.assign(new TypeError("no"), { code: "ERR_INVALID_ARG_TYPE" })],
  ])("is internal where the program is wrong, and not to be made again: %s", (_what, thrown) => {
    expect(toPrismError(thrown, CALL)).toMatchObject({
      reason: "internal",
      code: Code.Internal,
      retryable: false,
    });
  });

  test.each([
    ["refused", true],
    ["unsent", true],
    ["misplaced", false],
  ] as const)("of a call that was surely not run is retryable, or of no use: %s", (why, retryable) => {
    for (const method of [set, popLeft]) {
      const error = markNotRun(new ConnectError("no", Code.Unavailable), why);
      expect(toPrismError(error, { ...CALL, method })).toMatchObject({ retryable });
    }
  });

  test("is deadline_exceeded where the caller's signal is one of time", async () => {
    const signal = AbortSignal.timeout(1);
    await once(signal, "abort");
    for (const thrown of [signal.reason, new ConnectError("x", Code.Canceled), new TypeError("y")]) {
      expect(toPrismError(thrown, { ...CALL, signal })).toMatchObject({
        reason: "deadline_exceeded",
        code: Code.DeadlineExceeded,
        retryable: false,
      });
    }
  });

  test("is canceled where the caller gave up, whatever the transport makes of it", () => {
    const call = { ...CALL, signal: AbortSignal.abort() };
    for (const thrown of [
      node,
      new DOMException("gone", "AbortError"),
      new ConnectError("x", Code.Unknown),
    ]) {
      expect(toPrismError(thrown, call)).toMatchObject({ reason: "canceled", code: Code.Canceled });
    }
  });

  test("is deadline_exceeded where the client's own timeout passed", () => {
    const error = toPrismError(new ConnectError("late", Code.DeadlineExceeded), CALL);
    expect(error).toMatchObject({ reason: "deadline_exceeded", retryable: false });
  });

  test("has a message, and stays as it is when converted twice", () => {
    const all = new AggregateError([], "");
    const error = toPrismError(Object.assign(all, { code: "ECONNREFUSED" }), CALL);
    expect(error.message).toBe("the call failed: ECONNREFUSED");
    expect(toPrismError(error, CALL)).toBe(error);
  });
});

describe("a client over any transport", () => {
  test("sends its defaults, and what a call names instead", async () => {
    const seen: unknown[] = [];
    await using client = new PrismClient(
      createRouterTransport(({ service }) => {
        service(KeyValueBasicInterface, {
          set: ({ namespace, ttlSeconds }, { timeoutMs }) => {
            seen.push([namespace, ttlSeconds, (timeoutMs() ?? 0) > 0]);
            return { success: true };
          },
        });
      }),
      { namespace: "orders", timeoutMs: 60_000 },
    );
    await client.keyvalue.set("key", "value");
    await client.keyvalue.set("key", "value", { namespace: "users", ttlSeconds: 0, timeoutMs: 0 });
    expect(seen).toEqual([
      ["orders", undefined, true],
      ["users", 0n, false],
    ]);
  });

  test("fails late calls, and numbers that it cannot tell exactly", async () => {
    await using client = new PrismClient(
      createRouterTransport(({ service }) => {
        service(ListBasicInterface, {
          length: () => ({ length: 2n ** 53n }),
          popLeft: (_request, { signal }) =>
            new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        });
      }),
      { timeoutMs: 20 },
    );
    await expect(client.list.length("list", { timeoutMs: 0 })).rejects.toThrow(/not a safe integer/);
    await expect(client.list.popLeft("list")).rejects.toMatchObject({ reason: "deadline_exceeded" });
  });

  test("makes the call of a scan when reading begins, and ends it when reading does", async () => {
    const ended = Promise.withResolvers<void>();
    let begun = 0;
    await using client = new PrismClient(
      createRouterTransport(({ service }) => {
        service(KeyValueScanInterface, {
          async *scanKeys(_request, { signal }) {
            begun++;
            signal.addEventListener("abort", () => ended.resolve());
            for (;;) {
              yield { key: "key" };
            }
          },
        });
      }),
    );
    const keys = client.keyvalue.scanKeys();
    expect(begun).toBe(0);
    for await (const key of keys) {
      expect(key).toBe("key");
      break;
    }
    await ended.promise;
    expect(begun).toBe(1);
  });

  test("every failure is a PrismError", async () => {
    await using client = new PrismClient(createRouterTransport(() => {}));
    await expect(client.keyvalue.get("key")).rejects.toThrow(PrismError);
    await expect(client.keyvalue.get("key")).rejects.toMatchObject({
      code: Code.Unimplemented,
      message: expect.stringContaining(
        "the server has no call prism.interfaces.keyvalue.KeyValueBasicInterface/Get; is it a gateway, and as new",
      ),
    });
  });
});
