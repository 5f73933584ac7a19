import { Socket } from "node:net";
import {
  type Diagnosis,
  diagnoseClock,
  diagnoseTls,
  fine,
  problem,
  unreachable,
  warning,
} from "../diagnosis.ts";
import type { Migration } from "../migration-files.ts";
import type { PostgresConfig } from "./config.ts";
import { Database } from "./database.ts";
import { openError } from "./errors.ts";
import { MIGRATIONS } from "./migrations.ts";
import { missingGrants, missingGrantsForSteps } from "./rights.ts";
import type { Session } from "./session.ts";
import { readUrl } from "./url.ts";

/** The oldest version that Prism is tested with, as server_version_num has it. */
const OLDEST_TESTED = 150_000;

/** What is read of the server in one statement. */
interface Facts {
  readonly version: string;
  readonly number: number;
  readonly is_standby: boolean;
  readonly is_read_only: boolean;
  readonly commits: string;
  readonly fsync: string;
  /** Milliseconds since 1970. */
  readonly now_ms: number;
}

const FACTS = `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
    pg_is_in_recovery() AS is_standby, current_setting('default_transaction_read_only')::boolean AS is_read_only,
    current_setting('synchronous_commit') AS commits, current_setting('fsync') AS fsync,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms`;

/**
 * Looks at a server and at the rights of our user, in a transaction that can change nothing.
 * `migrations` make the tables.
 */
export async function* diagnose(
  config: PostgresConfig,
  timeoutMs: number,
  migrations: readonly Migration[] = MIGRATIONS,
): AsyncGenerator<Diagnosis, void> {
  const { place } = readUrl(config.url, true);
  const connectMs = Math.min(config.pool.connect_timeout_ms, timeoutMs);
  const found: Diagnosis[] = [];
  let database: Database | undefined;
  try {
    database = new Database({ ...config, pool: { max: 1, connect_timeout_ms: connectMs } });
    await database.use(async (session) => {
      // Of a server that freezes now nothing would be heard.
      const timer = setTimeout(() => streamOf(session)?.destroy(), timeoutMs);
      try {
        found.push(fine("reachable", place));
        await examine(session, { schema: config.schema, migrations }, timeoutMs, found);
      } finally {
        clearTimeout(timer);
      }
    });
  } catch (error) {
    const failed = unreachable(openError(error, place));
    found.push(found.length === 0 ? failed : { ...failed, check: "answer" });
  } finally {
    await database?.close();
  }
  yield* found;
}

/** Where the tables are, and what makes them. */
interface Tables {
  readonly schema: string;
  readonly migrations: readonly Migration[];
}

async function examine(
  session: Session,
  tables: Tables,
  timeoutMs: number,
  found: Diagnosis[],
): Promise<void> {
  await session.query("BEGIN READ ONLY");
  try {
    // Somebody may hold a lock on the tables.
    await session.query(`SET LOCAL statement_timeout TO ${Math.ceil(timeoutMs / 2)}`);
    const askedMs = Date.now();
    const { rows } = await session.query<Facts>(FACTS);
    const toldMs = Date.now();
    const [facts] = rows;
    if (facts === undefined) {
      throw new Error("the server tells nothing of itself");
    }
    found.push(
      diagnoseVersion(facts),
      diagnoseTls(streamOf(session)),
      diagnoseWrites(facts),
      diagnoseCommits(facts),
      diagnoseClock(facts.now_ms, askedMs, toldMs),
    );
    found.push(await diagnoseTables(session, tables));
  } finally {
    // Without a connection there is no transaction.
    await session.query("ROLLBACK").catch(() => {});
  }
}

/** The connection's socket, which the driver's types lack. */
function streamOf(session: Session): Socket | undefined {
  const stream: unknown = Reflect.get(Object(Reflect.get(session, "connection")), "stream");
  return stream instanceof Socket ? stream : undefined;
}

function diagnoseVersion({ version, number }: Facts): Diagnosis {
  return number >= OLDEST_TESTED
    ? fine("version", `PostgreSQL ${version}`)
    : warning("version", `PostgreSQL ${version}; Prism is tested with ${OLDEST_TESTED / 10_000} and newer`);
}

function diagnoseWrites({ is_standby: isStandby, is_read_only: isReadOnly }: Facts): Diagnosis {
  if (isStandby) {
    return warning(
      "writes",
      "a standby, which takes none: name the primary too, with ?target_session_attrs=read-write in the URL",
    );
  }
  return isReadOnly
    ? warning("writes", "refused by default_transaction_read_only: set it to off for this user or database")
    : fine("writes", "taken");
}

function diagnoseCommits({ commits, fsync }: Facts): Diagnosis {
  if (fsync === "off") {
    return warning("durability", "fsync is off: a crash of its machine can destroy all data; set it to on");
  }
  return commits === "off"
    ? warning(
        "durability",
        "synchronous_commit is off: a crash of the server loses the last writes that were acknowledged; set it to on",
      )
    : fine("durability", `synchronous_commit is ${commits}`);
}

/** Whether our user may make the tables, or use and change those that are there. */
async function diagnoseTables(session: Session, { schema, migrations }: Tables): Promise<Diagnosis> {
  const grants = await missingGrants(session, schema);
  if (grants.length > 0) {
    return mayNot(grants);
  }
  const table = `"${schema}".migration`;
  const { rows: found } = await session.query("SELECT to_regclass($1) IS NOT NULL AS there", [table]);
  if (found[0]?.there !== true) {
    return fine("rights", `the tables in the schema ${schema} are made at the first start`);
  }
  const { rows } = await session.query(`SELECT coalesce(max(version), 0)::int AS version FROM ${table}`);
  const version = Number(rows[0]?.version);
  if (version > migrations.length) {
    return problem(
      "tables",
      `made by a newer Prism (version ${version}, this one knows ${migrations.length}): run that version or a later one`,
    );
  }
  if (version < migrations.length) {
    const more = await missingGrantsForSteps(session, schema);
    return more.length > 0
      ? mayNot(more)
      : fine(
          "rights",
          `enough, and the start brings the tables from version ${version} to ${migrations.length}`,
        );
  }
  return fine("rights", "enough for the tables, which are there");
}

function mayNot(grants: readonly string[]): Diagnosis {
  return problem("rights", `some are missing; let an administrator run: ${grants.join("; ")};`);
}
