/**
 * Policies around calls on the real data plane, over every protocol, on the direct path and on
 * Connect's own handlers.
 */
import { gzipSync } from "node:zlib";
import type { DescMethod } from "@bufbuild/protobuf";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import {
  type GetRequest,
  GetRequestSchema,
  GetResponseSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { implement } from "../../server/calls/implement.ts";
import { createLogPolicy } from "../../server/calls/policies/log.ts";
import type { Policy, PolicyHooks } from "../../server/calls/policies/policy.ts";
import type { CallRecord } from "../../server/calls/record.ts";
import { type PrismError, PrismError as Refusal } from "../../server/errors.ts";
import { CERT, KEY } from "../helpers/certificate.ts";
import { describeService, startPlane } from "../helpers/plane.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, type RawAnswer, rawCall } from "./raw.ts";
import { bodyRequest, callRequest, envelope, GET_WIRES, isEnveloped, POST_WIRES, type Wire } from "./wire.ts";

const service = describeService(GetRequestSchema, GetResponseSchema, [
  { name: "One", options: { idempotencyLevel: 1 } },
  { name: "Many", serverStreaming: true },
  { name: "Gather", clientStreaming: true },
  { name: "Chat", clientStreaming: true, serverStreaming: true },
  { name: "Unconcerned" },
]);

const VALUE = new Uint8Array([1, 2, 3]);
const one = methodOf("one");
const many = methodOf("many");
const gather = methodOf("gather");
const chat = methodOf("chat");
const unconcerned = methodOf("unconcerned");

function methodOf(name: string): DescMethod {
  const method = service.method[name];
  if (method === undefined) {
    throw new TypeError(`the service has no method ${name}`);
  }
  return method;
}

const handlers = {
  one: async () => ({ value: VALUE }),
  async *many() {
    yield [{ value: VALUE }, { value: VALUE }];
    yield [{ value: VALUE }];
  },
  async gather(requests: AsyncIterable<GetRequest>) {
    await Array.fromAsync(requests);
    return { value: VALUE };
  },
  async *chat(requests: AsyncIterable<GetRequest>) {
    for await (const _request of requests) {
      yield [{ value: VALUE }];
    }
  },
  unconcerned: async () => ({ value: VALUE }),
};

/** What a policy heard of one call. */
interface Told {
  begins: CallRecord[];
  finishes: { record: CallRecord; error: PrismError | undefined; begun: boolean }[];
}

/** A policy that records what it hears, for all methods except one. */
function createWitness(more: PolicyHooks = {}): Policy & Told & { asked: string[] } {
  const begins: Told["begins"] = [];
  const finishes: Told["finishes"] = [];
  const asked: string[] = [];
  return {
    begins,
    finishes,
    asked,
    on(row) {
      asked.push(row.path);
      return row.desc.name === "Unconcerned"
        ? undefined
        : {
            begin(record, call) {
              begins.push(record);
              return more.begin?.(record, call);
            },
            finish(record, error, begun) {
              finishes.push({ record, error, begun });
              more.finish?.(record, error, begun);
            },
          };
    },
  };
}

const PATHS = [
  { directPath: true, http2: "engine" },
  { directPath: true, http2: "node" },
  { directPath: false, http2: "engine" },
  { directPath: false, http2: "node" },
] as const;

function start(
  path: (typeof PATHS)[number],
  policies: readonly Policy[],
  more: Partial<Parameters<typeof startPlane>[0]> = {},
) {
  return startPlane({
    ...path,
    policies: () => policies,
    services: (calls) => [implement(service, handlers as never, calls)],
    ...more,
  });
}

const METHODS = [one, many, gather, chat];

/** Whether a protocol has calls of this kind: a bidirectional stream needs HTTP/2. */
const has = (wire: Wire, method: DescMethod) => method !== chat || wire.http === 2;

function request(wire: Wire, method: DescMethod) {
  const message = { namespace: "orders", key: "k" };
  return callRequest(wire, method, message as never, { "x-tenant": "acme" });
}

const messages = (answer: RawAnswer) => answer.messages.length;

describe.each(PATHS)("direct path: $directPath, HTTP/2: $http2", (path) => {
  test("every call of every kind has one begin and one finish, with its record", async () => {
    let seen: object = {};
    const witness = createWitness({
      // node:http2 forgets the connection of a call that has ended.
      begin(record) {
        const { peer, peerCertificate, namespace } = record;
        const headers = [record.header("x-tenant"), record.header("x-none")];
        seen = { peer, peerCertificate, namespace, headers };
        return undefined;
      },
    });
    await using server = await start(path, [witness]);
    expect(witness.asked).toEqual(service.methods.map(({ name }) => `/test.Service/${name}`));
    for (const wire of [...POST_WIRES, ...GET_WIRES]) {
      for (const method of wire.protocol === "connect-get" ? [one] : METHODS) {
        if (!has(wire, method)) {
          continue;
        }
        const answer = await rawCall(server, request(wire, method));
        expect(answer.code).toBe("ok");
        expect(messages(answer)).toBe(method === many ? 3 : 1);
        await waitFor(() => expect(witness.finishes).toHaveLength(1));
        const [record] = witness.begins.splice(0);
        expect(witness.finishes.splice(0)).toEqual([{ record, error: undefined, begun: true }]);
        const manyRequests = method === gather || method === chat;
        expect(record).toMatchObject({
          row: { path: `/test.Service/${method.name}`, desc: method },
          principal: undefined,
          startedAtMs: expect.any(Number),
          finished: true,
        });
        expect(seen).toEqual({
          peer: "127.0.0.1",
          peerCertificate: undefined,
          // No request of the stream was read yet.
          namespace: manyRequests ? "" : "orders",
          headers: ["acme", undefined],
        });
      }
    }
    expect(witness.asked).toHaveLength(service.methods.length);
  });

  test("a method that the policy is not on runs none of it", async () => {
    const witness = createWitness();
    await using server = await start(path, [witness]);
    for (const wire of POST_WIRES) {
      expect(await rawCall(server, request(wire, unconcerned))).toMatchObject({ code: "ok" });
    }
    expect(witness.begins).toEqual([]);
    expect(witness.finishes).toEqual([]);
  });

  test.each([
    ["at once", () => undefined],
    ["after a while", () => new Promise<void>((resolve) => setImmediate(resolve))],
  ])(
    "a begin that refuses %s: the handler does not run, the caller is told, and the call finishes once",
    async (_, pause) => {
      const refusal = new Refusal("overloaded", "not now");
      const witness = createWitness({
        begin: () => {
          const paused = pause();
          if (paused === undefined) {
            throw refusal;
          }
          return paused.then(() => Promise.reject(refusal));
        },
      });
      const before = vi.fn();
      const first: Policy = { on: () => ({ finish: (_record, error, begun) => before(error, begun) }) };
      await using server = await start(path, [first, witness]);
      for (const wire of POST_WIRES) {
        for (const method of METHODS.filter((each) => has(wire, each))) {
          const answer = await rawCall(server, request(wire, method));
          expect(answer).toMatchObject({ code: "resource_exhausted", message: "not now" });
          expect(answer.details).toMatchObject([{ retryable: true, namespace: expect.any(String) }]);
          expect(messages(answer)).toBe(0);
          expect(witness.begins.splice(0)).toHaveLength(1);
          expect(witness.finishes.splice(0)).toMatchObject([{ error: refusal, begun: false }]);
          expect(before.mock.calls.splice(0)).toEqual([[refusal, true]]);
        }
      }
    },
  );

  test("a begin that waits holds up the handler, and can name the caller", async () => {
    const witness = createWitness({
      async begin(record) {
        await new Promise((resolve) => setImmediate(resolve));
        record.principal = { name: record.header("x-tenant") ?? "", grants: [] };
      },
    });
    await using server = await start(path, [witness]);
    for (const wire of POST_WIRES) {
      for (const method of METHODS.filter((each) => has(wire, each))) {
        expect(await rawCall(server, request(wire, method))).toMatchObject({ code: "ok" });
        expect(witness.finishes.splice(0)).toMatchObject([
          { record: { principal: { name: "acme", grants: [] } }, error: undefined, begun: true },
        ]);
      }
    }
  });

  test("a begin that hangs ends with the caller's deadline", async () => {
    const witness = createWitness({ begin: () => new Promise(() => {}) });
    await using server = await start(path, [witness]);
    for (const wire of POST_WIRES) {
      for (const method of [one, many]) {
        const late = wire.protocol === "connect" ? { "connect-timeout-ms": "20" } : { "grpc-timeout": "20m" };
        const asked = request(wire, method);
        const answer = await rawCall(server, { ...asked, headers: { ...asked.headers, ...late } });
        expect(answer).toMatchObject({ code: "deadline_exceeded" });
        expect(witness.finishes.splice(0)).toMatchObject([
          { error: { reason: "deadline_exceeded" }, begun: false },
        ]);
      }
    }
  });

  test("a policy that breaks is an internal error, whose cause only the log has", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => lines.push(line) });
    const witness = createWitness({
      begin() {
        throw new TypeError("secret of a policy");
      },
    });
    await using server = await startPlane({
      ...path,
      log,
      policies: (failures) => [createLogPolicy(failures), witness],
      services: (calls) => [implement(service, handlers as never, calls)],
    });
    for (const wire of POST_WIRES) {
      for (const method of METHODS.filter((each) => has(wire, each))) {
        const answer = await rawCall(server, request(wire, method));
        expect(answer).toMatchObject({ code: "internal", message: "internal error" });
        expect(JSON.stringify([answer.body.toString("latin1"), answer.trailers])).not.toContain("secret");
        expect(witness.finishes.splice(0)).toMatchObject([{ error: { reason: "internal" }, begun: false }]);
      }
    }
    expect(lines.some((line) => line.includes("secret of a policy"))).toBe(true);
  });

  test("what a finish throws is in the log, and the answer stays", async () => {
    const lines: string[] = [];
    const log = pino({ level: "info" }, { write: (line: string) => lines.push(line) });
    const broken = createWitness({
      finish() {
        throw new TypeError("secret of a policy");
      },
    });
    const witness = createWitness();
    await using server = await start(path, [witness, broken], { log });
    for (const wire of POST_WIRES) {
      for (const method of METHODS.filter((each) => has(wire, each))) {
        expect(await rawCall(server, request(wire, method))).toMatchObject({ code: "ok" });
        expect(witness.finishes.splice(0)).toMatchObject([{ error: undefined, begun: true }]);
      }
    }
    expect(lines.map((line) => JSON.parse(line))).toContainEqual(
      expect.objectContaining({ level: 50, msg: "policy failed" }),
    );
  });

  test("a request that cannot be read begins nothing, and finishes once", async () => {
    const witness = createWitness();
    await using server = await start(path, [witness]);
    const expectUnread = async (asked: Parameters<typeof rawCall>[1], reason: string) => {
      const answer = await rawCall(server, asked);
      expect(answer.code).not.toBe("ok");
      await waitFor(() => expect(witness.finishes).not.toEqual([]));
      expect(witness.finishes.splice(0)).toMatchObject([{ error: { reason }, begun: false }]);
      expect(witness.begins).toEqual([]);
    };
    for (const wire of POST_WIRES) {
      for (const method of [one, many]) {
        const broken = Buffer.from([0xff, 0xff, 0xff]);
        const body = isEnveloped(wire, method) ? envelope(broken) : broken;
        await expectUnread(bodyRequest(wire, method, body), "malformed_request");
        const large = Buffer.alloc(200_000);
        await expectUnread(
          bodyRequest(wire, method, isEnveloped(wire, method) ? envelope(large) : large),
          "value_too_large",
        );
      }
      const type = { ...bodyRequest(wire, one, Buffer.alloc(0)).headers, "content-type": "text/plain" };
      await expectUnread(bodyRequest(wire, one, Buffer.alloc(0), type), "request_unsupported");
    }
    const [json] = POST_WIRES;
    const packed = { "content-encoding": "br" };
    await expectUnread(bodyRequest(json, one, gzipSync("{}"), packed), "request_unsupported");
    await expectUnread({ ...request(json, one), httpMethod: "PUT" }, "request_unsupported");
    await expectUnread({ ...request(json, many), httpMethod: "GET", body: undefined }, "request_unsupported");
  });

  test("the certificate with which the caller was let in", async () => {
    let subject: string | undefined;
    const witness = createWitness({
      begin(record) {
        subject = record.peerCertificate?.subject;
        return undefined;
      },
    });
    const tls = { cert: CERT, key: KEY, clientCa: CERT };
    await using server = await start(path, [witness], { port: { tls } });
    for (const wire of POST_WIRES) {
      using connection = connect(server, wire.http, { ca: CERT, cert: CERT, key: KEY });
      for (const method of METHODS.filter((each) => has(wire, each))) {
        expect(await connection.call(request(wire, method))).toMatchObject({ code: "ok" });
        expect(subject).toBe("CN=prism.test");
        subject = undefined;
      }
    }
  });
});
