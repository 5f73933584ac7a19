import { createRouterTransport } from "@connectrpc/connect";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { routerOn } from "../../../tests/helpers/router.ts";
import { createWireBackend } from "../../../tests/helpers/wire-backend.ts";
import { startSuiteServer, wireHarness } from "../../../tests/helpers/wire-harness.ts";
import { toConnectError } from "../../calls/status.ts";
import { asPrismError } from "../../errors.ts";
import { createKeyValueBasic } from "../../services/keyvalue-basic.ts";
import { createListBasic } from "../../services/list-basic.ts";
import { CALL, NAMESPACES } from "../conformance/harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { createRemoteBackend } from "./backend.ts";

const MAX_VALUE_BYTES = 4 * 1024 * 1024;

const harness = wireHarness("a plugin", async (clock) => {
  const plugin = await startSuiteServer(clock);
  const config = { type: "remote", endpoint: plugin.address } as const;
  return { backend: createRemoteBackend(config, { secondMs: 1 }), close: plugin.stop };
});
describeBackend({ ...harness, capabilities: [...harness.capabilities, "listBlocking", "streamTails"] });

describeBackend({
  ...wireHarness("a plugin without scans", async (clock) => {
    const store = createMemoryBackend({ type: "memory" }, { clock });
    const router = await routerOn(store, NAMESPACES);
    const limits = { maxValueBytes: MAX_VALUE_BYTES };
    const transport = createRouterTransport((services) => {
      services.service(KeyValueBasicInterface, overConnect(createKeyValueBasic(router, limits)));
      services.service(ListBasicInterface, overConnect(createListBasic(router, limits)));
    });
    return { backend: createWireBackend(transport), async close() {} };
  }),
  capabilities: ["entries", "lists"],
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
