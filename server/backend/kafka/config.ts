import { z } from "zod";
import { tlsFilesSchema } from "../../tls-files.ts";
import { connectTimeoutSchema } from "../connect-timeout.ts";

/** A name or an IPv4 address, or an IPv6 address in brackets; then the port. */
const BROKER = /^(?:([A-Za-z0-9._-]{1,253})|\[([0-9A-Fa-f:.]{2,45})\]):(\d{1,5})$/;

const brokerSchema = z.string().refine((text) => addressOf(text) !== undefined, {
  error: 'expected a host and a port, such as "kafka:9092"',
});

/**
 * `type: kafka`: one or more Kafka brokers. It keeps streams only. Several gateways may share them.
 */
export const kafkaSchema = z.strictObject({
  type: z.literal("kafka"),
  brokers: z
    .array(brokerSchema)
    .min(1)
    .max(32)
    .describe("Some brokers, each as host:port; they lead to the others. 1 to 32."),
  topic_prefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,60}$/, {
      error: "expected a name of 1 to 60 letters, digits, underscores, dots and hyphens",
    })
    .default("prism.")
    .describe("The start of every topic's name. Stores with the same prefix share their data."),
  replication_factor: z
    .number()
    .min(1)
    .max(32)
    .int()
    .optional()
    .describe(
      "On how many brokers a new stream is kept. What is there stays as it is. Absent = 3, or all brokers if they are fewer.",
    ),
  sasl: z
    .strictObject({
      mechanism: z.enum(["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]).describe("How the password is shown."),
      username: z.string().min(1).describe("Our user at the brokers."),
      password: z
        .string()
        .min(1)
        .describe("Its password. Keep it in an environment variable, which the file names."),
    })
    .optional()
    .describe("Who we are. Absent = we do not say it, except by a certificate in tls."),
  connect_timeout_ms: connectTimeoutSchema,
  request_timeout_ms: z
    .number()
    .min(100)
    .max(60_000)
    .int()
    .default(5_000)
    .describe("How long a broker may take to answer. Then its connection is given up."),
  tls: tlsFilesSchema.optional().describe("TLS; {} trusts the system's authorities. Absent = no TLS."),
});

/** The checked options of a Kafka store, with absolute file names. */
export type KafkaConfig = z.infer<typeof kafkaSchema>;

/** Where a broker listens. */
export interface BrokerAddress {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The brokers that the options name. */
export function addressesOf({ brokers }: Pick<KafkaConfig, "brokers">): readonly BrokerAddress[] {
  return brokers.map(addressOf).filter((address) => address !== undefined);
}

/** The brokers and the topics' prefix, for operators. It contains no password. */
export function describePlace({ brokers, topic_prefix }: KafkaConfig): string {
  return `${brokers.join(", ")}, topics ${topic_prefix}*`;
}

/** `undefined` = it is no address. */
function addressOf(broker: string): BrokerAddress | undefined {
  const [, name, ipv6, digits] = BROKER.exec(broker) ?? [];
  const host = name ?? ipv6;
  const port = Number(digits);
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}
