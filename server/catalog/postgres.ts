import type { Notification } from "pg";
import { keepListening, type Listening } from "../backend/keep-listening.ts";
import { loadMigrations } from "../backend/migration-files.ts";
import type { PostgresConfig } from "../backend/postgres/config.ts";
import { Database } from "../backend/postgres/database.ts";
import { type Access, openError, toPrismError } from "../backend/postgres/errors.ts";
import { migrate } from "../backend/postgres/migrations.ts";
import { postgresRoom } from "../backend/postgres/room.ts";
import type { Session, Statement } from "../backend/postgres/session.ts";
import { nameOf } from "../backend/postgres/statements.ts";
import { readUrl } from "../backend/postgres/url.ts";
import { PrismError } from "../errors.ts";
import { changedMeanwhile, type NamespaceCatalog, nameTaken } from "../namespaces/catalog.ts";
import type { PostgresControl } from "./config.ts";
import { readDocument, writeDocument } from "./document.ts";

/** The payload of a notification is `SCHEMA/REVISION`. */
const CHANNEL = "prism_namespaces";

/** "Prsn": the first key of the locks of {@link NamespaceCatalog.exclusively}. */
const LOCK = 0x5072736e;

/** How often the catalog is looked at, in case no notification comes. */
const POLL_MS = 500;

/** The pause before a change is told: the answer to this gateway's own change may be on its way. */
const PAUSE_MS = 50;

/**
 * After all was read, the pause before changes are told again: so many times as long as the reading
 * took, and at most so long.
 */
const REST_FACTOR = 4;
const MAX_REST_MS = 400;

/** How long a connection has to answer. The driver's types lack this option. */
const PING: { readonly text: string } = { text: "SELECT 1", query_timeout: 5_000 } as { text: string };

const MIGRATIONS = loadMigrations(new URL("./postgres/", import.meta.url));

/** The schema of a catalog, for `prism doctor`. */
export function postgresCatalogStore(config: PostgresControl) {
  return {
    place: postgresRoom.place(toStore(config)),
    async *diagnose(timeoutMs: number) {
      const { diagnose } = await import("../backend/postgres/diagnose.ts");
      yield* diagnose(toStore(config), timeoutMs, MIGRATIONS);
    },
  };
}

/** The options of a catalog, as those of a store. */
function toStore(config: PostgresControl): PostgresConfig {
  return { ...config, pool: { max: 2, connect_timeout_ms: 5_000 } };
}

/** Keeps namespaces in a PostgreSQL schema, which all gateways with the same one share. */
export function createPostgresCatalog(config: PostgresControl): NamespaceCatalog {
  const { url, schema } = config;
  const statements = createStatements(schema);
  let opened: Database | undefined;
  /** The last revision that this gateway knows whole: it was read, or all since then is its own. */
  let known = 0;
  let restsUntilMs = Number.NEGATIVE_INFINITY;

  function current(): Database {
    if (opened === undefined) {
      throw new PrismError("store_unavailable", "the catalog of namespaces is not open");
    }
    return opened;
  }

  /** Runs a statement that answers the version of its change, or no row if it changed nothing. */
  async function change(
    statement: (typeof statements)["add"],
    values: readonly unknown[],
    refusal: () => PrismError,
  ): Promise<number> {
    const [row] = await current().run(statement, values);
    if (row === undefined) {
      throw refusal();
    }
    const [version] = row;
    known = version === known + 1 ? version : known;
    return version;
  }

  return {
    async open() {
      let database: Database | undefined;
      try {
        database = new Database(toStore(config));
        await database.use((client) => migrate(client, schema, MIGRATIONS));
        opened = database;
      } catch (error) {
        await database?.close();
        throw openError(error, readUrl(url, true).place);
      }
    },
    async load() {
      const startMs = performance.now();
      const rows = await current().run(statements.load, []);
      known = Math.max(known, rows[0]?.[0] ?? 0);
      const namespaces = rows.flatMap(([, name, version, text]) =>
        name === null || version === null || text === null ? [] : [readDocument(name, version, text)],
      );
      const nowMs = performance.now();
      restsUntilMs = nowMs + Math.min(REST_FACTOR * (nowMs - startMs), MAX_REST_MS);
      return namespaces;
    },
    async save(namespace) {
      const { name, version: expected } = namespace;
      const document = writeDocument(namespace);
      const version =
        expected === 0
          ? await change(statements.add, [name, document], () => nameTaken(name))
          : await change(statements.replace, [name, document, expected], () => changedMeanwhile(name));
      return { ...namespace, version };
    },
    async remove(name, expected) {
      await change(statements.remove, [name, expected], () => changedMeanwhile(name));
    },
    watch(changed) {
      let timer: NodeJS.Timeout | undefined;
      let latest = known;
      let isPolling = false;
      const hear = (revision: number) => {
        latest = Math.max(latest, revision);
        if (latest > known) {
          const pauseMs = Math.max(PAUSE_MS, restsUntilMs - performance.now());
          timer ??= setTimeout(() => {
            timer = undefined;
            if (latest > known) {
              changed();
            }
          }, pauseMs);
        }
      };
      const poll = () => {
        if (!isPolling && opened !== undefined) {
          isPolling = true;
          opened
            .run(statements.revision, [])
            // While it is away there is nothing to hear, and calls tell that it is.
            .then(
              ([row]) => row && hear(row[0]),
              () => {},
            )
            .finally(() => {
              isPolling = false;
            });
        }
      };
      const polling = setInterval(() => poll(), POLL_MS);
      const stopListening = keepListening(() => listen(() => current().dedicate(), schema, hear), {
        missed: poll,
      });
      return () => {
        stopListening();
        clearInterval(polling);
        clearTimeout(timer);
        timer = undefined;
      };
    },
    async exclusively({ name, version }, work) {
      let session: Session;
      try {
        session = await current().dedicate();
      } catch (error) {
        throw toPrismError(error, "read");
      }
      const lost = new AbortController();
      session.once("end", () => lost.abort());
      try {
        // The lock is the transaction's, so it holds behind a pooler too. It has no snapshot and
        // changes nothing, so it may last.
        await session.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout TO 0");
        const { rows } = await session.query<{ free: boolean }>(
          "SELECT pg_try_advisory_xact_lock($1::int4, hashtext($2)) AS free",
          [LOCK, `${schema}/${name}`],
        );
        if (rows[0]?.free !== true) {
          return false;
        }
        const { rowCount } = await session.query(
          `SELECT 1 FROM "${schema}".namespace WHERE name = $1 AND version = $2`,
          [name, version],
        );
        if (rowCount === 0) {
          return false;
        }
        await work(lost.signal);
        return true;
      } catch (error) {
        throw lost.signal.aborted ? toPrismError(error, "read") : error;
      } finally {
        // Waited for, so that the lock is free when this answers.
        await session.query("ROLLBACK").catch(() => {});
        session.end().catch(() => {});
      }
    },
    async close() {
      const closing = opened;
      opened = undefined;
      await closing?.close();
    },
  };
}

/** Listens on a connection that `connect` makes. `undefined` = nobody can listen there. */
async function listen(
  connect: () => Promise<Session>,
  schema: string,
  hear: (revision: number) => void,
): Promise<Listening | undefined> {
  const connection = await connect();
  const close = () => {
    connection.end().catch(() => {});
  };
  // Behind a pooler other clients use the server's connection too.
  if (!connection.isOwn) {
    close();
    return undefined;
  }
  connection.on("notification", ({ payload = "" }: Notification) => {
    const [from, revision] = payload.split("/");
    if (from === schema) {
      hear(Number(revision));
    }
  });
  try {
    await connection.query(`LISTEN ${CHANNEL}`);
  } catch (error) {
    close();
    throw error;
  }
  return { connection, event: "end", ping: () => connection.query(PING), close };
}

/** The statements on the tables of `schema`, a name that needs no escaping. */
function createStatements(schema: string) {
  const namespace = `"${schema}".namespace`;
  const catalog = `"${schema}".catalog`;
  const statement = <Row extends readonly unknown[]>(
    kind: Access,
    name: string,
    text: string,
  ): Statement<Row> => ({ name: nameOf(`catalog_${name}`, text), text, kind });
  const change = (name: string, made: string) =>
    statement<readonly [version: number]>(
      "write",
      name,
      `WITH next AS (UPDATE ${catalog} SET revision = revision + 1 RETURNING revision), made AS (${made})
        SELECT version, pg_notify('${CHANNEL}', '${schema}/' || version) FROM made`,
    );
  return {
    revision: statement<readonly [revision: number]>("read", "revision", `SELECT revision FROM ${catalog}`),
    /** At one moment. A catalog without namespaces has one row with nulls. */
    load: statement<
      readonly [revision: number, name: string | null, version: number | null, document: string | null]
    >(
      "read",
      "load",
      `SELECT revision, name, version, document FROM ${catalog} LEFT JOIN ${namespace} ON true ORDER BY name`,
    ),
    /** `$1` name, `$2` document. */
    add: change(
      "add",
      `INSERT INTO ${namespace} (name, version, document) SELECT $1, revision, $2 FROM next
        ON CONFLICT (name) DO NOTHING RETURNING version`,
    ),
    /** `$1` name, `$2` document, `$3` the version that is replaced. */
    replace: change(
      "replace",
      `UPDATE ${namespace} AS n SET version = revision, document = $2 FROM next
        WHERE n.name = $1 AND n.version = $3 RETURNING n.version`,
    ),
    /** `$1` name, `$2` the version that is removed. Answers the catalog's revision. */
    remove: change(
      "remove",
      `DELETE FROM ${namespace} AS n USING next WHERE n.name = $1 AND n.version = $2
        RETURNING next.revision AS version`,
    ),
  };
}
