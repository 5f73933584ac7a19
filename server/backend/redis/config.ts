import { z } from "zod";
import { tlsFilesSchema } from "../../tls-files.ts";
import { hasPlainUserinfo, USERINFO_FORMAT } from "../url-userinfo.ts";

const urlSchema = z
  .string()
  .refine(hasPlainUserinfo, { error: USERINFO_FORMAT, abort: true })
  .refine(isRedisUrl, { error: 'expected a URL such as "redis://user@host:6379"; rediss:// means TLS' });

const serverUrlSchema = urlSchema.refine(
  (text) => !isRedisUrl(text) || /^\/?$|^\/\d{1,5}$/.test(new URL(text).pathname),
  { error: 'expected a URL whose path is the number of a database, such as "redis://user@host:6379/0"' },
);

const nodeUrlSchema = urlSchema.refine(
  (text) => !isRedisUrl(text) || ["", "/"].includes(new URL(text).pathname),
  {
    error: 'expected a URL without a path, such as "redis://user@host:6379"',
  },
);

const nodeUrlsSchema = z
  .array(nodeUrlSchema)
  .min(1)
  .refine((urls) => new Set(urls.map((url) => url.split(":", 1)[0])).size < 2, {
    error: "expected all of them to be redis:// or all of them rediss://",
  })
  .refine(([first = "", ...others]) => others.every((url) => ["", userOf(first)].includes(userOf(url))), {
    error: "expected user and password of the first in the others too, or none",
  });

/** `type: redis`: a Redis server, alone, under sentinels or as a Cluster, or what speaks its protocol. Several gateways may share one. */
export const redisSchema = z
  .strictObject({
    type: z.literal("redis"),
    /** One server: `redis://user:password@host:6379/0`, the path being the database's number. Keep the password out of the file: `${VAR}`. */
    url: serverUrlSchema.optional(),
    /** Some nodes of a Cluster; the others are found through them. User and password are the first one's. */
    cluster: nodeUrlsSchema.optional(),
    /** Sentinels, which know the primary. */
    sentinel: z
      .strictObject({
        /** What the sentinels call it. */
        name: z.string().min(1),
        /** Where they are, with their own user and password: the first one's. */
        urls: nodeUrlsSchema,
        /** Who we are to the primary. */
        username: z.string().optional(),
        password: z.string().optional(),
        /** The number of the database. */
        db: z.number().min(0).int().default(0),
      })
      .optional(),
    /**
     * Parts that the data is split into. Each is in one hash slot, on one node of a Cluster, and a batch is whole or not at all within it.
     * Fixed once there is data. Absent = 16 on a Cluster, else 1.
     */
    shards: z.number().min(1).max(128).int().optional(),
    /** What every key begins with. Stores with one prefix share their data. */
    key_prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,32}$/, {
        error: "expected a name of 1 to 32 letters, digits, underscores, dots and hyphens",
      })
      .default("prism"),
    /** How long the server has to accept a connection. */
    connect_timeout_ms: z.number().min(1).max(60_000).int().default(5_000),
    /** TLS; `{}` trusts the system's authorities. Absent = as the (first) URL says: rediss:// with the system's authorities, redis:// without TLS. */
    tls: tlsFilesSchema.optional(),
  })
  .refine(({ url, cluster, sentinel }) => [url, cluster, sentinel].filter(Boolean).length === 1, {
    error: "expected exactly one of: url, cluster, sentinel",
    // Where a variable that is not set is told of, which says enough.
    path: ["url"],
  });

/** The checked options of a Redis store. File names are absolute by then. */
export type RedisConfig = z.infer<typeof redisSchema>;

/** Where a Redis is: exactly one of the three is in a {@link RedisConfig}. */
export type Place =
  | { readonly kind: "server"; readonly url: string }
  | { readonly kind: "cluster"; readonly urls: readonly string[] }
  | { readonly kind: "sentinel"; readonly sentinel: NonNullable<RedisConfig["sentinel"]> };

/** Which of the three it is. */
export function placeOf({ url, cluster, sentinel }: RedisConfig): Place {
  if (cluster !== undefined) {
    return { kind: "cluster", urls: cluster };
  }
  if (sentinel !== undefined) {
    return { kind: "sentinel", sentinel };
  }
  return { kind: "server", url: url ?? "" };
}

/** Enough to spread over the nodes of a Cluster; elsewhere nothing is gained by more than one. */
export function shardCount(config: RedisConfig): number {
  return config.shards ?? (config.cluster === undefined ? 1 : 16);
}

/** `user:password`, as it is written; "" = there is none. */
function userOf(url: string): string {
  return /^\w+:\/\/(.*)@/.exec(url)?.[1] ?? "";
}

/** What stands behind "?" would set options of the driver. */
function isRedisUrl(text: string): boolean {
  return /^rediss?:\/\/[^/?#][^?#]*$/.test(text) && URL.canParse(text);
}
