import { Cluster, Redis, type RedisOptions } from "ioredis";
import { StartError } from "../../errors.ts";
import { readTlsFiles } from "../../tls-files.ts";
import { type Place, placeOf, type RedisConfig } from "./config.ts";
import { endSilent } from "./silence.ts";

/** Between two tries to connect: soon at first, because it may be one connection that broke. */
const FIRST_RETRY_MS = 20;
const MAX_RETRY_MS = 200;

/** Nodes of a Cluster that send a command on to each other are not followed for ever, nor those that are moving its keys waited for. */
const MAX_REDIRECTIONS = 6;
const TRY_AGAIN_MS = 20;

/** A sentinel that takes longer to answer is passed over. */
const SENTINEL_TIMEOUT_MS = 1_000;

/** A Cluster's slots move without a word to those who do not use them. */
const SLOTS_REFRESH_MS = 10_000;

/** The driver's client of what a configuration names. It does not connect yet. Throws StartError where that cannot be, as of a file of `tls` that is missing. */
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
    // Redis 7.0 does not know the command for it.
    disableClientInfo: true,
    connectTimeout: config.connect_timeout_ms,
    // While a server reads its data it is asked so often whether it has.
    maxLoadingRetryTime: MAX_RETRY_MS,
    // What was sent over a connection that broke may have been done: it is not for the driver to do it again.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  } satisfies RedisOptions;
  const standing = {
    ...common,
    // Calls that cannot be sent fail at once.
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
        // If they say that another is the primary while it connects, the driver gives up for good. One that was the primary says so itself.
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
          // Names stay names: certificates are for them, and one that nobody knows is no reason to give up the others.
          dnsLookup: (host, callback) => callback(null, host),
          clusterRetryStrategy: () => MAX_RETRY_MS,
          maxRedirections: MAX_REDIRECTIONS,
          retryDelayOnTryAgain: TRY_AGAIN_MS,
          slotsRefreshInterval: SLOTS_REFRESH_MS,
          // 0 = it is for us to say what is made again.
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

/** The driver asks a node to take a command for a slot that is on its way there, and does not listen to the answer. */
function quietAsking(node: Redis): void {
  const asking = node.asking.bind(node);
  node.asking = () => {
    const answer = asking();
    answer.catch(() => {});
    return answer;
  };
}

/** How long it may take until one of the places has accepted a connection. */
export function patienceMs(config: RedisConfig): number {
  const place = placeOf(config);
  // Each sentinel is asked in turn, and then the primary.
  const steps = place.kind === "sentinel" ? place.sentinel.urls.length + 1 : 1;
  return steps * config.connect_timeout_ms;
}

/** `host:port`, and what else tells a Redis from another; no password. */
export function describePlace(config: RedisConfig): string {
  const place = placeOf(config);
  switch (place.kind) {
    case "server": {
      const { host, pathname } = new URL(place.url);
      return `${host}${pathname}`;
    }
    case "cluster":
      return place.urls.map((url) => new URL(url).host).join(", ");
    case "sentinel":
      return `${place.sentinel.name}, by the sentinels ${place.sentinel.urls.map((url) => new URL(url).host).join(", ")}`;
  }
}

/** How TLS is set up; `undefined` = there is none. Throws Error where a file cannot be read. */
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

/** Where a server is, and who we are to it. */
export interface Node {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The servers that a configuration names. */
export function nodesOf(config: RedisConfig): Node[] {
  const place = placeOf(config);
  const port = place.kind === "sentinel" ? DEFAULT_SENTINEL_PORT : DEFAULT_PORT;
  return urlsOf(place).map((url) => nodeOf(url, port));
}

function nodeOf(text: string, defaultPort: number): Node {
  const { hostname, port, username, password } = new URL(text);
  return {
    // An IPv6 address stands in brackets in a URL, and nowhere else.
    host: hostname.replace(/^\[(.*)\]$/, "$1"),
    port: port === "" ? defaultPort : Number(port),
    username: username === "" ? undefined : decodeURIComponent(username),
    password: password === "" ? undefined : decodeURIComponent(password),
  };
}
