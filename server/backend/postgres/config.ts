import { z } from "zod";
import { tlsFilesSchema } from "../../tls-files.ts";
import { hasPlainUserinfo, USERINFO_FORMAT } from "../url-userinfo.ts";
import { urlProblem } from "./url.ts";

/** `type: postgres`: a PostgreSQL server, or what speaks its protocol. Several gateways may share one. */
export const postgresSchema = z.strictObject({
  type: z.literal("postgres"),
  /**
   * Where it is and who we are: `postgres://user:password@host:5432/database`. Keep the password out of the file: `${VAR}`. Of several
   * hosts, with commas between them, the first that can be had is taken; with `?target_session_attrs=read-write` that takes writes.
   */
  url: z
    .string()
    .refine(hasPlainUserinfo, { error: USERINFO_FORMAT, abort: true })
    .superRefine((text, context) => {
      const problem = urlProblem(text);
      if (problem !== undefined) {
        context.addIssue(problem);
      }
    }),
  /** The PostgreSQL schema that holds the tables; made when missing. Gateways with one schema share their data. */
  schema: z
    .string()
    .regex(/^[a-z_][a-z0-9_]{0,62}$/, {
      error:
        "expected a name of 1 to 63 lower-case letters, digits and underscores, not beginning with a digit",
    })
    .default("prism"),
  pool: z
    .strictObject({
      /** Connections at the same time. 0 is refused. */
      max: z.number().min(1).max(1000).int().default(20),
      /** How long a call waits for one, or for the server to accept one. 0 is refused: calls would pile up. */
      connect_timeout_ms: z.number().min(1).max(60_000).int().default(5_000),
    })
    .prefault({}),
  /** TLS; `{}` trusts the system's authorities. Absent = as the URL's `sslmode` says, else none. */
  tls: tlsFilesSchema.optional(),
});

/** The checked options of a PostgreSQL store. File names are absolute by then. */
export type PostgresConfig = z.infer<typeof postgresSchema>;
