import { isIP } from "node:net";
import {
  type Broker,
  type Connection,
  type ConnectionOptions,
  ConnectionPool,
  MultipleErrors,
  metadataV12,
} from "@platformatic/kafka";
import { PrismError, StartError } from "../../errors.ts";
import { readTlsFiles } from "../../tls-files.ts";
import { storeError } from "../store-errors.ts";
import { addressesOf, type KafkaConfig } from "./config.ts";
import { answered, errorOfCode, MISSING, nameOfCode, toPrismError } from "./errors.ts";

/**
 * What a connection is for. A broker answers the calls of a connection one after the other, so
 * calls of one kind have their own: a fetch that waits holds up nothing else.
 */
export const LANES = ["admin", "append", "read", "watch"] as const;

/** One of {@link LANES}. */
export type Lane = (typeof LANES)[number];

/** A topic as the cluster tells of it. Only its partition 0 is used. */
export interface Topic {
  readonly name: string;
  /** A UUID; a topic that is made again gets another one. */
  readonly id: string;
  /** The broker that leads the partition. -1 = none does now. */
  readonly leader: number;
  readonly replicas: number;
  readonly partitions: number;
}

/** Whether an answer about a topic tells of one. */
export function isTopic<T extends object>(answer: T | PrismError | undefined): answer is T {
  return answer !== undefined && !(answer instanceof PrismError);
}

/**
 * The connections of a lane. With TLS a broker hears by which name it is called (SNI), because one
 * port may serve several; an IP address must not stand there.
 */
interface Pools {
  readonly toNames: ConnectionPool;
  readonly toAddresses: ConnectionPool;
}

/**
 * How many brokers are asked before a question fails: more than may be away of those that hold the
 * same streams.
 */
const MAX_ASKED_BROKERS = 3;

/** The connections to the brokers of a Kafka cluster, and what it tells of itself. */
export class Cluster {
  readonly #config: KafkaConfig;
  #pools: Readonly<Record<Lane, Pools>> | undefined;
  #brokers = new Map<number, Broker>();
  /**
   * The addresses of brokers that have not answered, or to which a connection was lost, since they
   * last told of the cluster. The one that failed last comes last. Such a broker may be frozen: its
   * machine still takes connections.
   */
  readonly #failed = new Set<string>();

  constructor(config: KafkaConfig) {
    this.#config = config;
  }

  /** How many brokers there are, as far as is known. */
  get brokerCount(): number {
    return this.#brokers.size;
  }

  /** Connects. Throws PrismError: a StartError where waiting does not help. */
  async open(): Promise<void> {
    const options = optionsOf(this.#config);
    const pool = (): Pools => ({
      toNames: this.#newPool({ ...options, tlsServerName: true }),
      toAddresses: this.#newPool(options),
    });
    this.#pools = { admin: pool(), append: pool(), read: pool(), watch: pool() };
    await this.topics([]);
  }

  /** Closes all connections. Calls that are under way fail. */
  async close(): Promise<void> {
    const pools = Object.values(this.#pools ?? {});
    this.#pools = undefined;
    await Promise.all(pools.flatMap(({ toNames, toAddresses }) => [toNames.close(), toAddresses.close()]));
  }

  /**
   * A connection to a broker. Rejects as PrismError `store_unavailable` if there is none; then
   * nothing was sent.
   */
  async connection(lane: Lane, broker: number): Promise<Connection> {
    const known = this.#brokers.get(broker);
    if (known === undefined) {
      throw storeError("store_unavailable", new Error(`no broker ${broker} is known`));
    }
    const pool = this.#pool(lane, known);
    try {
      return await pool.get(known);
    } catch (error) {
      throw toPrismError(error);
    }
  }

  /**
   * A connection to any broker, if possible to one that has not failed lately. Rejects as
   * {@link connection}.
   */
  async anyConnection(lane: Lane): Promise<Connection> {
    const failed = [...this.#failed];
    // One that is connected answers at once.
    const ranks = new Map(
      this.#allBrokers().map((broker) => {
        const isConnected = this.#pool(lane, broker).getEstablishedConnection(broker)?.isConnected();
        const failure = failed.indexOf(addressOf(broker));
        return [broker, failure < 0 && isConnected ? -2 : failure];
      }),
    );
    const errors: Error[] = [];
    for (const [broker] of [...ranks].sort(([, a], [, b]) => a - b)) {
      const pool = this.#pool(lane, broker);
      try {
        return await pool.get(broker);
      } catch (error) {
        errors.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    throw toPrismError(new MultipleErrors("no broker can be reached", errors));
  }

  /**
   * Asks any broker something that changes nothing, and the next one if it does not answer. An
   * answer that has errors of single topics is an answer. Throws PrismError.
   */
  async askAny<Response>(ask: (connection: Connection) => Promise<Response>): Promise<Response> {
    const most = Math.min(MAX_ASKED_BROKERS, this.#allBrokers().length);
    for (let asked = 1; ; asked++) {
      const connection = await this.anyConnection("admin");
      const broker = { host: connection.host ?? "", port: connection.port ?? 0 };
      try {
        const answer = await answered(ask(connection));
        this.#failed.delete(addressOf(broker));
        return answer;
      } catch (error) {
        // The client tells of the end of the connection only later.
        this.#fail(broker);
        if (asked >= most) {
          throw error;
        }
      }
    }
  }

  /** The brokers that are known, and those that the options name; each address once. */
  #allBrokers(): readonly Broker[] {
    const all = [...this.#brokers.values(), ...addressesOf(this.#config)];
    return [...new Map(all.map((broker) => [addressOf(broker), broker])).values()];
  }

  #newPool(options: ConnectionOptions): ConnectionPool {
    const pool = new ConnectionPool("prism", options);
    pool.on("connecting", ({ broker, connection }) => {
      const fail = () => this.#fail(broker);
      connection.on("close", fail);
      // It may tell of more than one error, and the pool listens to the first only.
      connection.on("error", fail);
    });
    return pool;
  }

  #fail(broker: Broker): void {
    const address = addressOf(broker);
    this.#failed.delete(address);
    this.#failed.add(address);
  }

  /**
   * Asks for topics; `undefined` where there is none, and an error where the brokers do not tell.
   * Throws PrismError.
   */
  async topics(names: readonly string[]): Promise<readonly (Topic | PrismError | undefined)[]> {
    const found = await this.#ask([...new Set(names)]);
    return names.map((name) => found.get(name));
  }

  /** Asks for all topics of which the brokers tell, without Kafka's own. Throws PrismError. */
  async allTopics(): Promise<readonly Topic[]> {
    return [...(await this.#ask(null)).values()].filter(isTopic);
  }

  /** `null` = all topics. */
  async #ask(names: string[] | null): Promise<Map<string, Topic | PrismError>> {
    const { brokers, topics } = await this.askAny<metadataV12.MetadataResponse>((connection) =>
      metadataV12.api.async(connection, names, false, false),
    );
    this.#brokers = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    const addresses = new Set(this.#allBrokers().map(addressOf));
    for (const address of this.#failed) {
      if (!addresses.has(address)) {
        this.#failed.delete(address);
      }
    }
    const found = new Map<string, Topic | PrismError>();
    for (const { errorCode, name, topicId, isInternal, partitions } of topics) {
      if (typeof name !== "string" || isInternal || MISSING.has(nameOfCode(errorCode))) {
        continue;
      }
      if (errorCode !== 0) {
        found.set(name, errorOfCode(errorCode));
        continue;
      }
      const first = partitions.find(({ partitionIndex }) => partitionIndex === 0);
      found.set(name, {
        name,
        id: topicId,
        leader: first?.leaderId ?? -1,
        replicas: first?.replicaNodes.length ?? 0,
        partitions: partitions.length,
      });
    }
    return found;
  }

  #pool(lane: Lane, { host }: Broker): ConnectionPool {
    if (this.#pools === undefined) {
      throw storeError("store_unavailable", new Error("the store is closed"));
    }
    const { toNames, toAddresses } = this.#pools[lane];
    return isIP(host) === 0 ? toNames : toAddresses;
  }
}

function addressOf({ host, port }: Broker): string {
  return `${host}:${port}`;
}

function optionsOf({ sasl, tls, connect_timeout_ms, request_timeout_ms }: KafkaConfig) {
  try {
    return {
      connectTimeout: connect_timeout_ms,
      requestTimeout: request_timeout_ms,
      ...(sasl && { sasl }),
      ...(tls && { tls: readTlsFiles(tls) }),
    };
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(String(error), error);
  }
}
