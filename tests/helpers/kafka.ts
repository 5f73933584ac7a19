import { type ChildProcess, spawn } from "node:child_process";
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { alterUserScramCredentialsV0, Connection, ScramMechanisms } from "@platformatic/kafka";
import { type Child, folderOnPath, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePorts } from "./port.ts";

/** One node of a Kafka, on ports of loopback. */
export interface KafkaNode {
  /** `127.0.0.1:PORT` for clients without TLS and without users. `start` keeps it. */
  readonly address: string;
  /** As `address`, for clients that log in with a user's name and password (PLAIN or SCRAM). */
  readonly saslAddress: string;
  /** As `address`, with TLS. Only with {@link KafkaOptions.tls}. */
  readonly tlsAddress: string;
  /** As `saslAddress`, with TLS. Only with {@link KafkaOptions.tls}. */
  readonly saslTlsAddress: string;
  /** Its number, as `node.id` and in what the brokers answer: from 1 on. */
  readonly id: number;
  /** Its data. */
  readonly directory: string;
  /** Its process. 0 = it never ran. */
  pid(): number;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Kills it like a crash; resolves when it is gone. */
  kill(): Promise<void>;
  /**
   * Ends it as an operator does: its partitions get other leaders first. Resolves when it is gone.
   */
  stop(): Promise<void>;
  /** Starts it again with the same data and ports; resolves when it answers clients. */
  start(): Promise<void>;
}

/** A Kafka. Disposing stops it and removes its data; the end of this process does it too. */
export interface Kafka extends AsyncDisposable {
  readonly nodes: readonly KafkaNode[];
  /** The `address` of each node. */
  readonly addresses: readonly string[];
  /** The node with this number. */
  node(id: number): KafkaNode;
  /** Lets this process end while it runs. */
  unref(): void;
}

interface OwnNode extends KafkaNode {
  unref(): void;
}

type Settings = Readonly<Record<string, string | number>>;

/** The options of a Kafka. */
export interface KafkaOptions {
  /** 3 = topics without a factor of their own get three replicas; two must have a write. */
  readonly nodes?: 1 | 3;
  /** Settings of every node such as `log.retention.check.interval.ms`; they win over the others. */
  readonly settings?: Settings;
  /** Passwords by the names of those that may log in, with PLAIN or SCRAM (SHA-256, SHA-512). */
  readonly users?: Readonly<Record<string, string>>;
  /** Files in PEM. `ca` = clients may show a certificate that it signed. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string };
  /** The port of the first node's `address`. Absent = any free one. */
  readonly port?: number;
  /** More flags of each Java. */
  readonly javaFlags?: readonly string[];
}

/** The folder of the jars, and of the archive of their classes, which makes the start shorter. */
const FOLDER = process.env.PRISM_TEST_KAFKA ?? fileURLToPath(new URL("../../.kafka", import.meta.url));
const JARS = join(FOLDER, "lib");
/** What `kafka-storage format` wrote: the features of a new Kafka. */
const FEATURES = join(FOLDER, "features");
/** Made by `make kafka`. Java starts without it too, and with one that another Java made. */
export const KAFKA_ARCHIVE = join(FOLDER, "classes.jsa");

const java = folderOnPath(["java"], [join(process.env.JAVA_HOME ?? "", "bin")]);
const HINT = "`make kafka` brings it; it needs Java 17 and Maven (Debian: openjdk-17-jre-headless, maven)";
const HEAP_MB = 256;

/** That of {@link FEATURES}. */
const CLUSTER_ID = "cHJpc21fdGVzdF9rYWZrYQ";

/** Whether tests can start a Kafka; reports it if not. */
export const canStartKafka = () => isThere("Kafka", java !== undefined && hasKafka(), HINT);

function hasKafka(): boolean {
  return existsSync(FEATURES) && readdirSync(JARS).some((file) => file.startsWith("kafka_"));
}

/**
 * Starts a Kafka, in some three seconds. It makes no topic by itself, and looks for old segments
 * every five minutes. Only if {@link canStartKafka}.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const count = options.nodes ?? 1;
  const directory = await mkdtemp(join(tmpdir(), "prism-kafka-"));
  const ports = await freePorts(5 * count);
  const places = Array.from({ length: count }, (_, at): Place => {
    const [address = 0, sasl = 0, tls = 0, saslTls = 0, controller = 0] = ports.slice(5 * at);
    const first = at === 0 ? (options.port ?? address) : address;
    const id = at + 1;
    return { id, directory: join(directory, String(id)), ports: [first, sasl, tls, saslTls, controller] };
  });
  const voters = places.map(({ id, ports }) => `${id}@127.0.0.1:${ports[4]}`).join(",");
  const nodes = await Promise.all(places.map((place) => createNode(place, voters, options)));

  async function dispose(): Promise<void> {
    // A node that has lost its quorum takes no other signal.
    await Promise.all(nodes.map((node) => node.kill()));
    await rm(directory, { recursive: true, force: true });
  }

  const starts = await Promise.allSettled(nodes.map((node) => node.start()));
  try {
    for (const start of starts) {
      if (start.status === "rejected") {
        throw start.reason;
      }
    }
    await Promise.all(nodes.slice(0, 1).map((node) => addScramUsers(node, options.users ?? {})));
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    nodes,
    addresses: nodes.map(({ address }) => address),
    node(id) {
      const found = nodes.find((node) => node.id === id);
      if (found === undefined) {
        throw new Error(`there is no node ${id}`);
      }
      return found;
    },
    unref() {
      for (const node of nodes) {
        node.unref();
      }
    },
    [Symbol.asyncDispose]: dispose,
  };
}

interface Place {
  readonly id: number;
  readonly directory: string;
  /** Those of `address`, `saslAddress`, `tlsAddress`, `saslTlsAddress`, and the controller's. */
  readonly ports: readonly [number, number, number, number, number];
}

async function createNode(place: Place, voters: string, options: KafkaOptions): Promise<OwnNode> {
  const { id, directory, ports } = place;
  const data = join(directory, "data");
  const file = join(directory, "server.properties");
  // With `kafka-storage format` each node would need a second start of Java.
  const metadata = join(data, "__cluster_metadata-0");
  await mkdir(metadata, { recursive: true });
  await copyFile(FEATURES, join(metadata, "00000000000000000000-0000000000.checkpoint"));
  await writeFile(
    join(data, "meta.properties"),
    toProperties({ version: 1, "cluster.id": CLUSTER_ID, "node.id": id }),
  );
  const settings = { "log.dirs": data, ...listenersOf(place, options), "controller.quorum.voters": voters };
  await writeFile(file, toProperties({ ...commonSettings(options), ...settings, ...options.settings }));
  const args = [
    ...[
      `-Xms64m`,
      `-Xmx${HEAP_MB}m`,
      "-XX:+UseSerialGC",
      ...(existsSync(KAFKA_ARCHIVE) ? [`-XX:SharedArchiveFile=${KAFKA_ARCHIVE}`] : []),
    ],
    ...["-Xlog:cds=off", "-Xlog:cds+dynamic=off", ...(options.javaFlags ?? [])],
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    ...["-cp", join(JARS, "*"), "kafka.Kafka", file],
  ];
  let child: Child | undefined;
  let guard: ChildProcess | undefined;

  async function start(): Promise<void> {
    child = spawnChild("Kafka Server started", join(java ?? "", "java"), args, { cwd: directory });
    guard = guardOf(child.process, join(directory, ".."));
    await child.ready;
  }

  async function end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    child?.process.kill(signal);
    await child?.exited;
    guard?.kill("SIGKILL");
  }

  const [address, saslAddress, tlsAddress, saslTlsAddress] = ports.map((port) => `127.0.0.1:${port}`);
  return {
    id,
    directory,
    pid: () => child?.process.pid ?? 0,
    address: address ?? "",
    saslAddress: saslAddress ?? "",
    tlsAddress: tlsAddress ?? "",
    saslTlsAddress: saslTlsAddress ?? "",
    start,
    signal: (name) => void child?.process.kill(name),
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    unref() {
      for (const one of [child?.process, guard]) {
        one?.unref();
        for (const stream of one?.stdio ?? []) {
          if (stream instanceof Socket) {
            stream.unref();
          }
        }
      }
    },
  };
}

/** Kills a child and removes its data when this process ends, however it ends. */
function guardOf(child: ChildProcess, directory: string): ChildProcess {
  const script = 'cat; kill -9 "$0"; rm -rf "$1"';
  // In a session of its own, so that Ctrl-C does not end it first.
  return spawn("sh", ["-c", script, String(child.pid), directory], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
}

function commonSettings({ nodes = 1 }: KafkaOptions): Settings {
  const [replicas, inSync] = nodes === 1 ? [1, 1] : [3, 2];
  return {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "default.replication.factor": replicas,
    "min.insync.replicas": inSync,
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": inSync,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": replicas,
    "share.coordinator.state.topic.min.isr": inSync,
    "share.coordinator.state.topic.num.partitions": 1,
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": 0,
    // Retention goes by the machine's clock, and tests move the gateway's.
    "log.retention.check.interval.ms": 3_600_000,
    // Less than the default 128 MB.
    "log.cleaner.dedupe.buffer.size": 10_485_760,
    "num.network.threads": 2,
    "num.io.threads": 4,
    // A dead node is replaced in three seconds rather than nine.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1000,
  };
}

function listenersOf({ id, ports }: Place, { users = {}, tls }: KafkaOptions): Settings {
  const [plaintext, sasl, ssl, saslSsl, controller] = ports.map((port) => `127.0.0.1:${port}`);
  const isTls = tls !== undefined;
  const all = [
    `PLAINTEXT://${plaintext}`,
    `SASL_PLAINTEXT://${sasl}`,
    ...(isTls ? [`SSL://${ssl}`, `SASL_SSL://${saslSsl}`] : []),
    `CONTROLLER://${controller}`,
  ];
  const logins = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`);
  const module = "org.apache.kafka.common.security";
  const sasls = ["sasl_plaintext", "sasl_ssl"].flatMap((listener) => [
    [
      `listener.name.${listener}.plain.sasl.jaas.config`,
      `${module}.plain.PlainLoginModule required ${logins.join(" ")};`,
    ],
    ...["256", "512"].map((bits) => [
      `listener.name.${listener}.scram-sha-${bits}.sasl.jaas.config`,
      `${module}.scram.ScramLoginModule required;`,
    ]),
  ]);
  return {
    "node.id": id,
    listeners: all.join(","),
    "listener.security.protocol.map":
      "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
    "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
    ...Object.fromEntries(sasls),
    ...(isTls ? tlsSettings(tls) : {}),
  };
}

function tlsSettings({ cert, key, ca }: NonNullable<KafkaOptions["tls"]>): Settings {
  return {
    "ssl.keystore.type": "PEM",
    "ssl.keystore.certificate.chain": cert,
    "ssl.keystore.key": key,
    ...(ca === undefined
      ? {}
      : { "ssl.client.auth": "requested", "ssl.truststore.type": "PEM", "ssl.truststore.certificates": ca }),
  };
}

/** Lets users log in with SCRAM: their keys are part of a Kafka's data. */
async function addScramUsers({ address }: KafkaNode, users: Readonly<Record<string, string>>): Promise<void> {
  const [host = "", port] = address.split(":");
  const connection = new Connection("prism-tests");
  try {
    await connection.connect(host, Number(port));
    const { SCRAM_SHA_256, SCRAM_SHA_512 } = ScramMechanisms;
    for (const [name, password] of Object.entries(users)) {
      // A request takes one key of a user.
      for (const [mechanism, bytes, digest] of [
        [SCRAM_SHA_256, 32, "sha256"],
        [SCRAM_SHA_512, 64, "sha512"],
      ] as const) {
        const [salt, iterations] = [randomBytes(16), 4096];
        const saltedPassword = pbkdf2Sync(password, salt, iterations, bytes, digest);
        const key = { name, mechanism, salt, iterations, saltedPassword };
        await alterUserScramCredentialsV0.api.async(connection, [], [key]);
      }
    }
  } finally {
    await connection.close();
  }
}

/** Java's form of settings: one a line. */
function toProperties(settings: Settings): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${String(value).trim().replaceAll("\n", "\\n")}\n`)
    .join("");
}

/**
 * A Kafka of one node for all tests of this process, or the one at PRISM_TEST_KAFKA_ADDRESS. Every
 * test takes a prefix of its own for its topics, which stay. It ends with the process.
 */
export async function sharedKafka(): Promise<{ readonly addresses: readonly string[] }> {
  shared ??= startShared();
  return await shared;
}

let shared: Promise<{ readonly addresses: readonly string[] }> | undefined;

async function startShared(): Promise<{ readonly addresses: readonly string[] }> {
  const given = process.env.PRISM_TEST_KAFKA_ADDRESS;
  if (given !== undefined) {
    return { addresses: [given] };
  }
  const kafka = await startKafka();
  kafka.unref();
  return { addresses: kafka.addresses };
}

/** Whether there can be a {@link sharedKafka}; reports it if not. */
export const hasSharedKafka = () => process.env.PRISM_TEST_KAFKA_ADDRESS !== undefined || canStartKafka();
