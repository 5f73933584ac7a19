import { createRouterTransport } from "@connectrpc/connect";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { routerOn } from "../../../tests/helpers/router.ts";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { createWireBackend } from "../../../tests/helpers/wire-backend.ts";
import { toConnectError } from "../../calls/status.ts";
import { asPrismError } from "../../errors.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { createKeyValueBasic } from "../../services/keyvalue-basic.ts";
import { createListBasic } from "../../services/list-basic.ts";
import { CALL, type Harness, NAMESPACES } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { createRemoteBackend } from "./backend.ts";

const MAX_VALUE_BYTES = 4 * 1024 * 1024;

const harness: Harness = {
  name: "a plugin",
  capabilities: ["entries", "scans", "lists"],
  durable: true,
  atomic: "key",
  movesClock: true,
  // A second at the plugin is a millisecond of the suite.
  maxTtlMs: MAX_TTL_SECONDS,
  async create() {
    const clock = createManualClock();
    const plugin: TestServer = await startTestServer({
      clock,
      adjust: (config) => ({
        ...config,
        server: { ...config.server, shutdownGraceMs: 0 },
        namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
      }),
    });
    const config = { type: "remote", endpoint: plugin.address } as const;
    return {
      backend: createGuardedBackend(createRemoteBackend(config, { secondMs: 1 })),
      advance: (ms) => clock.advance(ms * 1000),
      dispose: plugin.stop,
    };
  },
};
describeBackend(harness);

describeBackend({
  name: "a plugin without scans",
  capabilities: ["entries", "lists"],
  durable: true,
  atomic: "key",
  movesClock: true,
  maxTtlMs: MAX_TTL_SECONDS,
  async create() {
    const clock = createManualClock();
    const store = createMemoryBackend({ type: "memory" }, { clock });
    const router = await routerOn(store, NAMESPACES);
    const limits = { maxValueBytes: MAX_VALUE_BYTES };
    const transport = createRouterTransport((services) => {
      services.service(KeyValueBasicInterface, overConnect(createKeyValueBasic(router, limits)));
      services.service(ListBasicInterface, overConnect(createListBasic(router, limits)));
    });
    return {
      backend: createGuardedBackend(createWireBackend(transport)),
      advance: (ms) => clock.advance(ms * 1000),
      async dispose() {},
    };
  },
});

/** Handlers that replace the server's own. */
function overConnect<Implementation>(handlers: object): Implementation {
  return Object.fromEntries(
    Object.entries(handlers).map(([name, handle]) => [
      name,
      async (request: unknown) => {
        try {
          return await handle(request, CALL);
        } catch (error) {
          throw toConnectError(asPrismError(error), { requestId: "1", namespace: "" });
        }
      },
    ]),
  ) as Implementation;
}
