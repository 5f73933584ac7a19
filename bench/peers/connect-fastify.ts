/**
 * Connect's stock plugin for Fastify with a Map, as its documentation shows it: `http1` or `http2`.
 */
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import { type FastifyInstance, fastify } from "fastify";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { listening, scanEntries, VALUES } from "./store.ts";

function routes(router: ConnectRouter): void {
  router.service(KeyValueBasicInterface, {
    set({ key, value }) {
      VALUES.set(key, value);
      return { success: true };
    },
    get({ key }) {
      const value = VALUES.get(key);
      if (value === undefined) {
        throw new ConnectError("not found", Code.NotFound);
      }
      return { value };
    },
  });
  router.service(KeyValueScanInterface, {
    async *scan() {
      yield* scanEntries();
    },
  });
}

// The two differ in the types of their requests, which nothing here uses.
const app =
  process.argv[2] === "http2" ? (fastify({ http2: true }) as unknown as FastifyInstance) : fastify();
await app.register(fastifyConnectPlugin, { routes });
await app.listen({ host: "127.0.0.1", port: 0 });
listening(app.server.address());
