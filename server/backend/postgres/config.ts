import { z } from "zod";
import { tlsFilesSchema } from "../../tls-files.ts";
import { connectTimeoutSchema } from "../connect-timeout.ts";
import { hasPlainUserinfo, USERINFO_FORMAT } from "../url-userinfo.ts";
import { urlProblem } from "./url.ts";

/**
 * `type: postgres`: a PostgreSQL server, or one that speaks its protocol. Several gateways may
 * share one.
 */
export const postgresSchema = z.strictObject({
  type: z.literal("postgres"),
  url: z
    .string()
    .refine(hasPlainUserinfo, { error: USERINFO_FORMAT, abort: true })
    .superRefine((text, context) => {
      const problem = urlProblem(text);
      if (problem !== undefined) {
        context.addIssue(problem);
      }
    })
    .describe(
      "The server and our user: postgres://user:password@host:5432/database. Keep the password in an environment variable, which the file names. Several hosts are separated by commas: the first one that accepts a connection is used, with ?target_session_attrs=read-write the first one that takes writes.",
    ),
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, {
      error:
        "expected a name of 1 to 63 lower-case letters, digits and underscores, not beginning with a digit",
    })
    .default("prism")
    .describe(
      "The PostgreSQL schema that holds the tables; made when missing. Gateways with the same schema share their data.",
    ),
  pool: z
    .strictObject({
      max: z
        .number()
        .min(1)
        .max(1000)
        .int()
        .default(20)
        .describe("The most connections at a time. 0 is refused."),
      connect_timeout_ms: connectTimeoutSchema.describe(
        "How long a call waits for a free connection, or the server takes to accept a new one. 0 is refused: calls would pile up.",
      ),
    })
    .prefault({}),
  tls: tlsFilesSchema
    .optional()
    .describe(
      "TLS; {} trusts the system's authorities. Absent = the URL's sslmode decides; without that there is no TLS.",
    ),
});

/** The checked options of a PostgreSQL store, with absolute file names. */
export type PostgresConfig = z.infer<typeof postgresSchema>;
