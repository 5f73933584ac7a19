/**
 * A port on loopback answers to names of loopback only, over every protocol, on both ports and on
 * every way that a call can take.
 */
import { describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { startTestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, type RawConnection } from "./raw.ts";
import { callRequest, POST_WIRES, type RawRequest, readMessage, type Wire } from "./wire.ts";

const { set, exists } = KeyValueBasicInterface.method;

const WAYS = [
  { http2: "engine", directPath: true },
  { http2: "engine", directPath: false },
  { http2: "node", directPath: true },
] as const;

const OWN = ["localhost", "127.0.0.1:1", "[::1]:8980"];
const FOREIGN = ["evil.example", "localhost.evil.example:8980", "0.0.0.0"];

type Hosts = "*" | readonly string[] | undefined;

const start = (
  { http2, directPath }: (typeof WAYS)[number],
  { data, admin }: { data?: Hosts; admin?: Hosts } = {},
) =>
  startTestServer({
    directPath,
    adjust: (config) => ({
      ...config,
      server: { ...config.server, http2, hosts: data },
      admin: { ...config.admin, hosts: admin },
    }),
  });

/** The header that names the host. */
const hostHeader = (wire: Wire, host: string) => (wire.http === 2 ? { ":authority": host } : { host });

function withHost(request: RawRequest, host: string): RawRequest {
  return { ...request, headers: { ...request.headers, ...hostHeader(request.wire, host) } };
}

/** One connection of each version to a port. */
function connectTo(baseUrl: string): { on(wire: Wire): RawConnection } & Disposable {
  const connections = { 1: connect({ baseUrl }, 1), 2: connect({ baseUrl }, 2) };
  return {
    on: ({ http }) => connections[http],
    [Symbol.dispose]() {
      connections[1][Symbol.dispose]();
      connections[2][Symbol.dispose]();
    },
  };
}

describe.each(WAYS)("HTTP/2: $http2, direct path: $directPath", (way) => {
  test("the data port", async () => {
    await using server = await start(way);
    using port = connectTo(server.baseUrl);
    for (const wire of POST_WIRES) {
      const asked = callRequest(wire, set, { key: "k", value: new Uint8Array(1) });
      // A name that was answered opens nothing for the next one on the same connection.
      for (const [i, host] of FOREIGN.entries()) {
        const good = callRequest(wire, exists, { key: "k" });
        const before = await port.on(wire).call(withHost(good, OWN[i] ?? ""));
        expect(before).toMatchObject({ code: "ok" });
        expect(readMessage(exists, wire, before).exists).toBe(false);
        const answer = await port.on(wire).call(withHost(asked, host));
        expect(answer, `${wire.name} ${host}`).toMatchObject({
          code: "permission_denied",
          httpStatus: wire.protocol === "connect" ? 403 : 200,
          messages: [],
          details: [{ retryable: false }],
        });
        expect(answer.message).toContain("server.hosts");
      }
    }
    await waitFor(() =>
      expect(server.audited).toContainEqual(
        expect.objectContaining({
          msg: "call refused",
          port: "data",
          peer: "127.0.0.1",
          code: "permission_denied",
          reason: "permission_denied",
        }),
      ),
    );
  });

  test("the admin port, services and plain routes", async () => {
    await using server = await start(way);
    using port = connectTo(server.adminUrl);
    for (const wire of POST_WIRES) {
      const health = { wire, httpMethod: "GET", path: "/health", headers: {}, body: undefined };
      const reflection = {
        ...callRequest(wire, exists, { key: "k" }),
        path: "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      };
      for (const [i, host] of FOREIGN.entries()) {
        expect(await port.on(wire).call(withHost(health, OWN[i] ?? ""))).toMatchObject({ httpStatus: 200 });
        const refused = await port.on(wire).call(withHost(health, host));
        expect(refused).toMatchObject({ httpStatus: 403, code: "permission_denied" });
        expect(refused.message).toContain("admin.hosts");
        expect(await port.on(wire).call(withHost(reflection, host))).toMatchObject({
          code: "permission_denied",
        });
      }
    }
    expect(server.audited.at(0)).toMatchObject({ port: "admin", reason: "permission_denied" });
  });

  test("names of the operator's own, and all names", async () => {
    await using server = await start(way, { data: ["prism.example"], admin: "*" });
    using data = connectTo(server.baseUrl);
    using admin = connectTo(server.adminUrl);
    for (const wire of POST_WIRES) {
      const asked = callRequest(wire, exists, { key: "k" });
      for (const host of [...OWN, "prism.example", "prism.example:443"]) {
        expect(await data.on(wire).call(withHost(asked, host))).toMatchObject({ code: "ok" });
      }
      expect(await data.on(wire).call(withHost(asked, "evil.example"))).toMatchObject({
        code: "permission_denied",
      });
      const health = { wire, httpMethod: "GET", path: "/health", headers: {}, body: undefined };
      expect(await admin.on(wire).call(withHost(health, "evil.example"))).toMatchObject({ httpStatus: 200 });
    }
  });

  test("a page of another name is refused before CORS lets it in", async () => {
    await using server = await startTestServer({
      directPath: way.directPath,
      adjust: (config) => ({
        ...config,
        server: { ...config.server, http2: way.http2, hosts: undefined, corsOrigins: "*" },
      }),
    });
    using port = connectTo(server.baseUrl);
    const [wire] = POST_WIRES;
    const headers = {
      origin: "http://evil.example",
      "access-control-request-method": "POST",
      ...hostHeader(wire, "evil.example"),
    };
    const asked = {
      wire,
      httpMethod: "OPTIONS",
      path: callRequest(wire, set, {}).path,
      headers,
      body: undefined,
    };
    const answer = await port.on(wire).call(asked);
    expect(answer.httpStatus).toBe(403);
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
  });
});
