import { z } from "zod";
import { tlsFilesSchema } from "../../tls-files.ts";
import { connectTimeoutSchema } from "../connect-timeout.ts";
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

/**
 * `type: redis`: a single Redis server, one under sentinels, a Cluster, or a server that speaks the
 * protocol. Several gateways may share one.
 */
export const redisSchema = z
  .strictObject({
    type: z.literal("redis"),
    url: serverUrlSchema
      .optional()
      .describe(
        "One server: redis://user:password@host:6379/0; the path is the database's number. Keep the password in an environment variable, which the file names.",
      ),
    cluster: nodeUrlsSchema
      .optional()
      .describe(
        "Some nodes of a Cluster; they lead to the others. The first URL's user and password count for all.",
      ),
    sentinel: z
      .strictObject({
        name: z.string().min(1).describe("The primary's name at the sentinels."),
        urls: nodeUrlsSchema
          .clone()
          .describe("The sentinels' addresses. The first URL's user and password count for all sentinels."),
        username: z.string().optional().describe("Our user at the primary."),
        password: z
          .string()
          .optional()
          .describe("Its password. Keep it in an environment variable, which the file names."),
        db: z.number().min(0).int().default(0).describe("The database's number."),
      })
      .optional()
      .describe("Sentinels, which know the primary."),
    shards: z
      .number()
      .min(1)
      .max(128)
      .int()
      .optional()
      .describe(
        "The number of parts that the data is split into. Each part is in one hash slot, so on one node of a Cluster, and a batch is atomic within it. Do not change it once there is data. Absent = 16 on a Cluster, otherwise 1.",
      ),
    key_prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{1,32}$/, {
        error: "expected a name of 1 to 32 letters, digits, underscores, dots and hyphens",
      })
      .default("prism")
      .describe("The start of every key. Stores with the same prefix share their data."),
    connect_timeout_ms: connectTimeoutSchema,
    tls: tlsFilesSchema
      .optional()
      .describe(
        "TLS; {} trusts the system's authorities. Absent = the (first) URL decides: rediss:// uses TLS with the system's authorities, redis:// no TLS.",
      ),
  })
  .refine(({ url, cluster, sentinel }) => [url, cluster, sentinel].filter(Boolean).length === 1, {
    error: "expected exactly one of: url, cluster, sentinel",
    // A missing variable is reported at this path already, which is enough.
    path: ["url"],
  });

/** The checked options of a Redis store, with absolute file names. */
export type RedisConfig = z.infer<typeof redisSchema>;

/** Where a Redis is. A {@link RedisConfig} has exactly one of the three. */
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

/** Enough to spread over the nodes of a Cluster. Elsewhere more than one gains nothing. */
export function shardCount(config: RedisConfig): number {
  return config.shards ?? (config.cluster === undefined ? 1 : 16);
}

/** `user:password` as written; "" = none. */
function userOf(url: string): string {
  return /^\w+:\/\/(.*)@/.exec(url)?.[1] ?? "";
}

/** Parameters after "?" would set options of the driver. */
function isRedisUrl(text: string): boolean {
  return /^rediss?:\/\/[^/?#][^?#]*$/.test(text) && URL.canParse(text);
}

/** `host:port` and what else identifies the Redis, without a password. */
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
