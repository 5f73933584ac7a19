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
import { findLacking, interfacesWithout } from "./interfaces.ts";
import { createNames } from "./names.ts";
import { Plugin } from "./plugin.ts";
import { createScans } from "./scans.ts";
import { createStores } from "./stores.ts";
import { createTails, MAX_TAILS } from "./tails.ts";
import { createWaits } from "./waits.ts";

/** How long `open` waits for the plugin. A later one is found when it starts. */
const OPEN_WAIT_MS = 1000;

/** How long a health check may take. */
const CHECK_TIMEOUT_MS = 2000;

/**
 * How long connecting may take. It bounds how long calls wait for a machine that does not answer.
 */
const CONNECT_TIMEOUT_MS = 2000;

/** Short, so that a returning plugin is found within half a second. */
const MAX_BACKOFF_MS = 500;

/**
 * Scans wait for their readers, and that must hold up no other call. So scans have their own
 * connections. Each connection's window is twice what its streams can hold back (it is renewed by
 * halves). It has so few streams that a plugin can keep two pages for each: Prism takes no more
 * calls from a connection with 16 MiB waiting.
 */
const SCAN_CONNECTIONS = 16;
const SCANS_PER_CONNECTION = 16;
const SCAN_WINDOW_BYTES = 256 * 1024;

/** Calls that wait for minutes must hold up no other call, so they have their own connections. */
const WAIT_CONNECTIONS = 16;

/**
 * Tails wait for events and for their readers, so they have their own connections too, with room
 * for what each stream can hold back.
 */
const TAIL_CONNECTIONS = 16;
const TAILS_PER_CONNECTION = MAX_TAILS / TAIL_CONNECTIONS;
const TAIL_WINDOW_BYTES = 64 * 1024;

/** Calls do not wait for an absent plugin; the channel looks for it without them. */
const PERSISTENT = {
  connectTimeoutMs: CONNECT_TIMEOUT_MS,
  maxBackoffMs: MAX_BACKOFF_MS,
  failFast: true,
} as const;

/** What `open` makes and `close` ends. */
interface Link {
  readonly transport: GrpcTransport;
  readonly scanTransport: GrpcTransport;
  readonly waitTransport: GrpcTransport;
  readonly tailTransport: GrpcTransport;
  readonly plugin: Plugin;
  /** The same plugin, for calls that wait. */
  readonly waiting: Plugin;
  /** The same plugin, for tails. */
  readonly tailing: Plugin;
}

/**
 * A store in another process, a plugin. It may start later than the gateway, die and come back.
 * While it is away calls fail at once as `store_unavailable`. All interfaces are declared, because
 * the plugin's interfaces are known only once it is there. A call to an interface that it lacks
 * throws `interface_unsupported`.
 *
 * `secondMs` is the number of the contract's milliseconds in a second of the plugin's clock; tests
 * change it.
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
  const tails = createTails({ plugin: () => linked().tailing });

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
    const waitTransport = createGrpcTransport({
      ...where,
      channel: { ...PERSISTENT, maxConnections: WAIT_CONNECTIONS },
    });
    const tailTransport = createGrpcTransport({
      ...where,
      channel: {
        ...PERSISTENT,
        maxConnections: TAIL_CONNECTIONS,
        maxCallsPerConnection: TAILS_PER_CONNECTION,
        streamWindowBytes: TAIL_WINDOW_BYTES,
        connectionWindowBytes: 2 * TAILS_PER_CONNECTION * TAIL_WINDOW_BYTES,
      },
    });
    const plugin = new Plugin({ unary: transport.unary, stream: scanTransport.stream }, config);
    const waiting = new Plugin(waitTransport, config);
    const tailing = new Plugin({ unary: transport.unary, stream: tailTransport.stream }, config);
    const learn = async () => {
      try {
        plugin.lacks = await findLacking(transport, config.namespace ?? DEFAULT_NAMESPACE);
        waiting.lacks = plugin.lacks;
        tailing.lacks = plugin.lacks;
      } catch {
        // The plugin went away, or does not tell. It answers calls to what it lacks with
        // UNIMPLEMENTED.
      }
    };
    link = { transport, scanTransport, waitTransport, tailTransport, plugin, waiting, tailing };
    // The first call makes the channel connect and keep trying. Later calls report its failure to
    // their callers.
    askHealth(transport).catch(() => {});
    await first(known, OPEN_WAIT_MS);
  }

  return {
    type: config.type,
    atomic: "key",
    ...createStores(options),
    scans,
    ...createNames(options),
    listBlocking: createWaits(() => linked().waiting),
    streamTails: tails,
    ownsStreamRules: true,
    lacks: () => interfacesWithout(link?.plugin.lacks ?? new Set()),
    open,
    check: async () => askHealth(linked().transport),
    async close() {
      scans.close();
      tails.close();
      link?.transport.close();
      link?.scanTransport.close();
      link?.waitTransport.close();
      link?.tailTransport.close();
      link = undefined;
    },
  };
}

/**
 * Asks for the plugin's health. A plugin without the health service is healthy if it answers.
 * Throws PrismError.
 */
export async function askHealth(transport: GrpcTransport): Promise<void> {
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

/** Waits for `event`, at most `maxMs`. */
async function first(event: Promise<void>, maxMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, maxMs);
  await Promise.race([event, late]);
  clearTimeout(timer);
}
