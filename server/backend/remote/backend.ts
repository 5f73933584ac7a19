import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, type GrpcTransport } from "../../../client/transport/transport.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { PrismError } from "../../errors.ts";
import { DEFAULT_NAMESPACE } from "../../limits.ts";
import { readTlsFiles } from "../../tls-files.ts";
import { type Backend, createCall } from "../contract.ts";
import { baseUrlOf, type RemoteConfig } from "./config.ts";
import { toPrismError } from "./errors.ts";
import { findLacking } from "./interfaces.ts";
import { Plugin } from "./plugin.ts";
import { createScans } from "./scans.ts";
import { createStores } from "./stores.ts";

/** How long `open` waits for the plugin. One that comes later is found when it comes. */
const OPEN_WAIT_MS = 1000;

/** For the plugin to say that it is well. */
const CHECK_TIMEOUT_MS = 2000;

/** To make a connection. It bounds how long calls wait for a machine that does not answer. */
const CONNECT_TIMEOUT_MS = 2000;

/** So that a plugin that is back is found within half a second. */
const MAX_BACKOFF_MS = 500;

/**
 * Scans wait for their readers, and what waits must hold up no other call: they have connections of their own, each with a
 * window of twice what its streams can hold back (it is announced anew by halves), and so few streams that a plugin can keep two pages
 * for each: Prism takes no more calls from a connection for which 16 MiB wait.
 */
const SCAN_CONNECTIONS = 16;
const SCANS_PER_CONNECTION = 16;
const SCAN_WINDOW_BYTES = 256 * 1024;

/** Calls do not wait for a plugin that is away, and it is looked for without them. */
const PERSISTENT = {
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  maxBackoffMs: MAX_BACKOFF_MS,
  failFast: true,
} as const;

/** What is open between `open` and `close`. */
interface Link {
  readonly transport: GrpcTransport;
  readonly scanTransport: GrpcTransport;
  readonly plugin: Plugin;
}

/**
 * A store in another process, a plugin, which may start later than this one, die and come back. While it is away calls fail at once as
 * `store_unavailable`. All interfaces are declared: which of them the plugin has is known once it is there, and a call to another one
 * throws `interface_unsupported`.
 *
 * `secondMs` is how many of the contract's milliseconds a second of the plugin's clock counts; tests move that clock.
 */
export function createRemoteBackend(
  config: RemoteConfig,
  { secondMs = 1000 }: { readonly secondMs?: number } = {},
): Backend {
  let link: Link | undefined;
  const linked = (): Link => {
    if (link === undefined) {
      throw new PrismError("store_unavailable", "the store is not open");
    }
    return link;
  };
  const options = { plugin: () => linked().plugin, secondMs };
  const scans = createScans(options);

  async function open(): Promise<void> {
    const tls = config.tls && readTlsFiles(config.tls);
    const { promise: known, resolve } = Promise.withResolvers<void>();
    const where = { baseUrl: baseUrlOf(config), tls };
    const transport = createGrpcTransport({
      ...where,
      channel: { ...PERSISTENT, onConnect: () => void learn().then(resolve) },
    });
    const scanTransport = createGrpcTransport({
      ...where,
      channel: {
        ...PERSISTENT,
        maxConnections: SCAN_CONNECTIONS,
        maxCallsPerConnection: SCANS_PER_CONNECTION,
        streamWindowBytes: SCAN_WINDOW_BYTES,
        connectionWindowBytes: 2 * SCANS_PER_CONNECTION * SCAN_WINDOW_BYTES,
      },
    });
    const plugin = new Plugin({ unary: transport.unary, stream: scanTransport.stream }, config);
    const learn = async () => {
      try {
        plugin.lacks = await findLacking(transport, config.namespace ?? DEFAULT_NAMESPACE);
      } catch {
        // It went away, or does not say. What it lacks it answers as UNIMPLEMENTED itself.
      }
    };
    link = { transport, scanTransport, plugin };
    // The first call makes the channel connect, and go on trying. What it meets, later calls tell their callers.
    check(link).catch(() => {});
    await first(known, OPEN_WAIT_MS);
  }

  return {
    type: config.type,
    atomic: "key",
    ...createStores(options),
    scans,
    open,
    check: async () => check(linked()),
    async close() {
      scans.close();
      link?.transport.close();
      link?.scanTransport.close();
      link = undefined;
    },
  };
}

/** Asks the plugin for its health. One without that service is well if it answers. */
async function check({ transport }: Link): Promise<void> {
  const health = createClient(Health, transport);
  try {
    const { status } = await health.check({}, { timeoutMs: CHECK_TIMEOUT_MS });
    if (status === ServingStatus.SERVING) {
      return;
    }
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unimplemented) {
      return;
    }
    throw toPrismError(error, { call: createCall(), write: false });
  }
  throw new PrismError("store_unavailable", "the plugin says that it does not serve");
}

/** Waits for `event`, and no longer than `maxMs`. */
async function first(event: Promise<void>, maxMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, maxMs);
  await Promise.race([event, late]);
  clearTimeout(timer);
}
