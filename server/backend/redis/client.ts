import { Cluster, Redis, type RedisOptions } from "ioredis";
import { StartError } from "../../errors.ts";
import { readTlsFiles } from "../../tls-files.ts";
import { type Place, placeOf, type RedisConfig } from "./config.ts";
import { endSilent } from "./silence.ts";

/**
 * The first pause between connection attempts: short, because a single connection may have broken.
 */
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 200;

/**
 * The most redirections of one command: Cluster nodes may redirect it to each other, or ask to wait
 * while they move its keys.
 */
const MAX_REDIRECTIONS = 6;
const TRY_AGAIN_MS = 20;

/** A sentinel that does not answer within this time is skipped. */
const SENTINEL_TIMEOUT_MS = 1_000;

/**
 * How often the map of a Cluster's slots is refreshed: only commands for a moved slot are told of
 * the move.
 */
const SLOTS_REFRESH_MS = 10_000;

/**
 * The driver's client for a configuration, not yet connected. Throws StartError if it cannot be
 * made, for example when a file of `tls` is missing.
 */
export function createClient(config: RedisConfig): Redis | Cluster {
  try {
    const client = clientOf(config);
    if (client instanceof Redis) {
      endSilent(client);
    } else {
      client.on("+node", (node: Redis) => endSilent(node)).on("+node", quietAsking);
    }
    return client;
  } catch (error) {
    throw new StartError(error instanceof Error ? error.message : String(error), error);
  }
}

function clientOf(config: RedisConfig): Redis | Cluster {
  const place = placeOf(config);
  const tls = tlsOf(config);
  const common = {
    lazyConnect: true,
    connectionName: "prism",
    // Redis 7.0 does not have the command for it.
    disableClientInfo: true,
    connectTimeout: config.connect_timeout_ms,
    // The pause between checks while a server loads its data.
    maxLoadingRetryTime: MAX_RETRY_MS,
    // A command may have run before its connection broke, so the driver must not repeat it.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  } satisfies RedisOptions;
  const standing = {
    ...common,
    // A call that cannot be sent fails at once.
    enableOfflineQueue: false,
    retryStrategy: (times: number) => Math.min(FIRST_RETRY_MS * 2 ** (times - 1), MAX_RETRY_MS),
  } satisfies RedisOptions;
  switch (place.kind) {
    case "server":
      return new Redis(place.url, { ...standing, ...(tls && { tls }) });
    case "sentinel": {
      const { name, username, password, db } = place.sentinel;
      const nodes = nodesOf(config);
      return new Redis({
        ...standing,
        sentinels: nodes.map(({ host, port }) => ({ host, port })),
        name,
        db,
        ...(username !== undefined && { username }),
        ...(password !== undefined && { password }),
        ...(nodes[0]?.username !== undefined && { sentinelUsername: nodes[0].username }),
        ...(nodes[0]?.password !== undefined && { sentinelPassword: nodes[0].password }),
        // If the sentinels name another primary while the driver connects, it would give up for
        // good. A former primary says itself that it is one no more.
        failoverDetector: false,
        sentinelRetryStrategy: () => MAX_RETRY_MS,
        sentinelCommandTimeout: SENTINEL_TIMEOUT_MS,
        ...(tls && { tls, sentinelTLS: tls, enableTLSForSentinelMode: true }),
      });
    }
    case "cluster": {
      const nodes = nodesOf(config);
      const { username, password } = nodes[0] ?? {};
      return new Cluster(
        nodes.map(({ host, port }) => ({ host, port })),
        {
          lazyConnect: true,
          // Keep names unresolved: certificates are for names, and one unknown name must not stop
          // the others.
          dnsLookup: (host, callback) => callback(null, host),
          clusterRetryStrategy: () => MAX_RETRY_MS,
          maxRedirections: MAX_REDIRECTIONS,
          retryDelayOnTryAgain: TRY_AGAIN_MS,
          slotsRefreshInterval: SLOTS_REFRESH_MS,
          // 0 = the driver repeats nothing; that decision is ours.
          retryDelayOnFailover: 0,
          retryDelayOnClusterDown: 0,
          redisOptions: {
            ...common,
            ...(username !== undefined && { username }),
            ...(password !== undefined && { password }),
            ...(tls && { tls }),
          },
        },
      );
    }
  }
}

/**
 * The driver sends ASKING to a node for a slot that is moving there, and never handles the answer.
 */
function quietAsking(node: Redis): void {
  const asking = node.asking.bind(node);
  node.asking = () => {
    const answer = asking();
    answer.catch(() => {});
    return answer;
  };
}

/** The longest time until one of the servers has accepted a connection. */
export function patienceMs(config: RedisConfig): number {
  const place = placeOf(config);
  // Each sentinel is asked in turn, then the primary.
  const steps = place.kind === "sentinel" ? place.sentinel.urls.length + 1 : 1;
  return steps * config.connect_timeout_ms;
}

/** The TLS options; `undefined` = no TLS. Throws Error if a file cannot be read. */
export function tlsOf(config: RedisConfig) {
  if (config.tls !== undefined) {
    return readTlsFiles(config.tls);
  }
  const [url] = urlsOf(placeOf(config));
  return url?.startsWith("rediss:") === true ? {} : undefined;
}

function urlsOf(place: Place): readonly string[] {
  switch (place.kind) {
    case "server":
      return [place.url];
    case "cluster":
      return place.urls;
    case "sentinel":
      return place.sentinel.urls;
  }
}

const DEFAULT_PORT = 6379;
const DEFAULT_SENTINEL_PORT = 26_379;

/** A server's address and our user there. */
export interface Node {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The servers in a configuration. */
export function nodesOf(config: RedisConfig): Node[] {
  const place = placeOf(config);
  const port = place.kind === "sentinel" ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT;
  return urlsOf(place).map((url) => nodeOf(url, port));
}

function nodeOf(text: string, defaultPort: number): Node {
  const { hostname, port, username, password } = new URL(text);
  return {
    // Only a URL puts an IPv6 address in brackets.
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? defaultPort : Number(port),
    username: username === "" ? undefined : decodeURIComponent(username),
    password: password === "" ? undefined : decodeURIComponent(password),
  };
}
