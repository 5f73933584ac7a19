/** Quotas over every protocol, on the direct path and on Connect's own handlers. */
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Reason } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { createCall } from "../../server/backend/contract.ts";
import { implement } from "../../server/calls/implement.ts";
import type { Policy } from "../../server/calls/policies/policy.ts";
import { createQuotaPolicy } from "../../server/calls/policies/quota.ts";
import { SCAN_PAGE_ENTRIES } from "../../server/limits.ts";
import { type CallLimits, NO_RULES } from "../../server/namespaces/rules.ts";
import { describeService, startPlane } from "../helpers/plane.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, type RawAnswer, rawCall } from "./raw.ts";
import { bodyRequest, callRequest, envelope, GET_WIRES, isEnveloped, POST_WIRES, type Wire } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const { blockingPopLeft } = ListBlockingInterface.method;

const PATHS = [{ directPath: true }, { directPath: false }] as const;
const NO_CALLERS = { default: NO_RULES.limits, principals: [], byAddress: false };

const limit = (server: TestServer, limits: Partial<CallLimits>) =>
  server.registry.setRules("default", { ...NO_RULES, limits: { ...NO_RULES.limits, ...limits } });

const aGet = (wire: Wire) => callRequest(wire, get, { key: "k" });

/** Calls until one is refused. Answers the refusal, and how many went before it. */
async function untilRefused(server: TestServer, wire: Wire) {
  for (let before = 0; ; before++) {
    const answer = await rawCall(server, aGet(wire));
    if (answer.code !== "not_found") {
      return { answer, before };
    }
  }
}

describe.each(PATHS)("direct path: $directPath", (path) => {
  test("a call too many is told when there is room, and that is true", async () => {
    await using server = await startTestServer(path);
    for (const [i, wire] of [...POST_WIRES, ...GET_WIRES].entries()) {
      // Other limits each time, so that the bucket is full.
      const burst = 3 + i;
      await limit(server, { maxRps: 2, burst });
      const { answer, before } = await untilRefused(server, wire);
      expect(before).toBeGreaterThanOrEqual(burst);
      expect(answer).toMatchObject({
        code: "resource_exhausted",
        message: expect.stringMatching(/^namespace "default" makes more calls.* in \d+ ms$/),
        details: [{ reason: Reason.RATE_LIMITED, retryable: true, namespace: "default" }],
      });
      if (wire.protocol === "connect") {
        expect(answer.httpStatus).toBe(429);
      }
      const [detail] = answer.details;
      expect(detail?.retryAfterMs).toBeGreaterThan(0);
      expect(detail?.retryAfterMs).toBeLessThanOrEqual(500);
    }
    const [wire] = POST_WIRES;
    await limit(server, { maxRps: 5, burst: 1 });
    for (let i = 0; i < 5; i++) {
      const { answer } = await untilRefused(server, wire);
      await delay(answer.details[0]?.retryAfterMs);
      expect(await rawCall(server, aGet(wire))).toMatchObject({ code: "not_found" });
    }
  });

  test("a refused call is in the log, and nothing of it in the store", async () => {
    await using server = await startTestServer(path);
    await limit(server, { maxRps: 1 });
    const [wire] = POST_WIRES;
    await untilRefused(server, wire);
    const put = () => rawCall(server, callRequest(wire, set, { key: "k", value: new Uint8Array(1) }));
    while ((await put()).code === "ok") {}
    expect(server.log).toContainEqual(
      expect.objectContaining({ reason: "rate_limited", code: "resource_exhausted", namespace: "default" }),
    );
  });

  test("a scan counts as one call, however long it is", async () => {
    await using server = await startTestServer(path);
    // More than one page.
    const keys = Array.from({ length: 2 * SCAN_PAGE_ENTRIES }, (_, n) => `k${n}`);
    const writes = keys.map((key) => ({ key, value: new Uint8Array(1), ttlMs: 0 }));
    await server.registry.find("default")?.backend.entries?.set("default", writes, createCall());
    for (const [i, wire] of POST_WIRES.entries()) {
      await limit(server, { maxRps: 1 + i, burst: 1 });
      const whole = await rawCall(server, callRequest(wire, scan, {}));
      expect(whole).toMatchObject({ code: "ok" });
      expect(whole.messages).toHaveLength(keys.length);
    }
  });

  test("a pop that waits is a call at the same time, until it ends", async () => {
    await using server = await startTestServer(path);
    await limit(server, { maxConcurrentCalls: 1 });
    for (const wire of POST_WIRES) {
      const pop = callRequest(wire, blockingPopLeft, { listKey: "l" });
      const connection = connect(server, wire.http);
      const waiting = connection.call(pop).catch(() => {});
      const underWay = (callsUnderWay: number) => () =>
        expect(server.registry.find("default")).toMatchObject({ callsUnderWay });
      await waitFor(underWay(1));
      for (const call of [aGet(wire), pop]) {
        expect(await rawCall(server, call)).toMatchObject({
          code: "resource_exhausted",
          message: 'namespace "default" has 1 call under way, and may have no more at the same time',
          details: [{ reason: Reason.RATE_LIMITED, retryable: true, retryAfterMs: 0 }],
        });
      }
      connection[Symbol.dispose]();
      await waiting;
      await waitFor(underWay(0));
      expect(await rawCall(server, aGet(wire))).toMatchObject({ code: "not_found" });
    }
  });

  test("callers without a name are one, or as many as their addresses", async () => {
    const limits = { ...NO_RULES.limits, maxRps: 1 };
    for (const byAddress of [false, true]) {
      await using server = await startTestServer({
        ...path,
        adjust: (config) => ({ ...config, quotas: { ...config.quotas, default: limits, byAddress } }),
      });
      for (const wire of POST_WIRES) {
        const { answer } = await untilRefused(server, wire);
        expect(answer).toMatchObject({
          code: "resource_exhausted",
          message: expect.stringContaining("this caller makes more calls"),
        });
      }
    }
  });

  test("the bytes of a request are those of its body as they come", async () => {
    const service = describeService(get.input, get.output, [
      { name: "One", options: { idempotencyLevel: 1 } },
      { name: "Many", serverStreaming: true },
    ]);
    const seen: number[] = [];
    const witness: Policy = { on: () => ({ begin: ({ requestBytes }) => void seen.push(requestBytes) }) };
    const handlers = {
      one: async () => ({}),
      async *many() {
        yield [{}];
      },
    };
    await using server = await startPlane({
      ...path,
      policies: () => [witness],
      services: (calls) => [implement(service, handlers as never, calls)],
    });
    const methods = service.methods;
    for (const wire of POST_WIRES) {
      for (const method of methods) {
        const request = callRequest(wire, method, { namespace: "n", key: "key" } as never);
        expect(await rawCall(server, request)).toMatchObject({ code: "ok" });
        expect(seen.splice(0)).toEqual([request.body?.byteLength]);
      }
    }
    for (const wire of GET_WIRES) {
      const [one] = methods;
      if (one !== undefined) {
        const request = callRequest(wire, one, { namespace: "n", key: "key" } as never);
        expect(await rawCall(server, request)).toMatchObject({ code: "ok" });
        expect(seen.splice(0)).toEqual([request.path.length]);
      }
    }
    const [wire] = POST_WIRES;
    for (const method of methods) {
      const zipped = gzipSync(JSON.stringify({ key: "k".repeat(500) }));
      const enveloped = isEnveloped(wire, method);
      const body = enveloped ? envelope(zipped, 1) : zipped;
      const name = enveloped ? "connect-content-encoding" : "content-encoding";
      expect(await rawCall(server, bodyRequest(wire, method, body, { [name]: "gzip" }))).toMatchObject({
        code: "ok",
      });
      expect(seen.splice(0)).toEqual([body.byteLength]);
    }
  });

  test("a service's rate_limit_rps bites, for each address by itself", async () => {
    const service = describeService(get.input, get.output, [{ name: "One" }, { name: "Two" }]);
    const handlers = { one: async () => ({}), two: async () => ({}) };
    const quota = createQuotaPolicy({ callers: { ...NO_CALLERS, byAddress: true } });
    // The option is read from the descriptor; the rows of this service say so in its place.
    const policy: Policy = { on: (row) => quota.on({ ...row, rateLimitRps: 2 }) };
    await using server = await startPlane({
      ...path,
      policies: () => [policy],
      services: (calls) => [implement(service, handlers as never, calls)],
    });
    for (const wire of POST_WIRES) {
      const answers: RawAnswer[] = [];
      while (answers.at(-1)?.code !== "resource_exhausted") {
        for (const method of service.methods) {
          answers.push(await rawCall(server, callRequest(wire, method, { key: "k" } as never)));
        }
      }
      expect(answers.at(-1)?.details).toMatchObject([{ reason: Reason.RATE_LIMITED, retryable: true }]);
    }
  });
});
