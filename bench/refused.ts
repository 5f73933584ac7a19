/** What do the other writes lose when one of 64 in flight is refused? */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import pg from "pg";
import { type Backend, createCall, isRefusal } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { interleaved, median, partsOfFirst, report, rounded, writeReport } from "./harness/report.ts";

const ROUNDS = 25;
const RUN_MS = 400;
const IN_FLIGHT = 64;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();
const NAMESPACE = "default";

/** Deletes the items of the list "damaged", and keeps the list. */
const DAMAGE = "DELETE FROM list_item";

/**
 * Pushes and pops of 63 callers, each on its own list, and of one more. Answers the writes a second
 * of the 63.
 */
async function rate({ lists }: Backend, last: "well" | "refused"): Promise<number> {
  if (lists === undefined) {
    throw new Error("no lists");
  }
  let writes = 0;
  const startedAtMs = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, lane) => {
      const isLast = lane === IN_FLIGHT - 1;
      const key = isLast && last === "refused" ? "damaged" : `list:${lane}`;
      while (performance.now() - startedAtMs < RUN_MS) {
        if (key !== "damaged") {
          await lists.push(NAMESPACE, [{ key, end: "right", value: VALUE }], CALL);
        }
        const [answer] = await lists.pop(NAMESPACE, [{ key, end: "left" }], CALL);
        if (isRefusal(answer) !== (key === "damaged")) {
          throw new Error(`a pop of ${key} was not what it is to be`);
        }
        writes += isLast ? 0 : 2;
      }
    }),
  );
  return writes / ((performance.now() - startedAtMs) / 1000);
}

async function measure(name: string, config: BackendConfig, damage: () => Promise<void>): Promise<void> {
  const first = await createBackend(config);
  await first.open();
  await first.lists?.push(NAMESPACE, [{ key: "damaged", end: "left", value: VALUE }], CALL);
  await first.close();
  await damage();
  const backend = await createBackend(config);
  await backend.open();
  await rate(backend, "well");
  const cpuUs: Record<"well" | "refused", number[]> = { well: [], refused: [] };
  const contender = (last: "well" | "refused") => async () => {
    const from = process.cpuUsage();
    const writes = await rate(backend, last);
    const { user, system } = process.cpuUsage(from);
    cpuUs[last].push((user + system) / (writes * (RUN_MS / 1000)));
    return writes;
  };
  const runs = await interleaved(
    { "none refused": contender("well"), "one refused": contender("refused") },
    ROUNDS,
  );
  const table = partsOfFirst(runs, "writes/s");
  const [none, one] = Object.values(table);
  Object.assign(none ?? {}, { "us of processor": rounded(median(cpuUs.well)) });
  Object.assign(one ?? {}, { "us of processor": rounded(median(cpuUs.refused)) });
  report(`Pushes and pops of 63 callers beside one more, straight at ${name}`, table, { runs, cpuUs });
  await backend.close();
}

{
  await using folder = await temporaryFolder();
  const path = join(folder.path, "prism.db");
  await measure("SQLite", backendSchema.parse({ type: "sqlite", path }), async () => {
    using db = new DatabaseSync(path);
    db.exec(DAMAGE);
  });
}
if (canStartPostgres()) {
  await using server = await startPostgres({ durable: true });
  await measure("PostgreSQL", backendSchema.parse({ type: "postgres", url: server.url }), async () => {
    const client = new pg.Client(server.url);
    await client.connect();
    await client.query(`SET search_path TO prism; ${DAMAGE}`);
    await client.end();
  });
}
writeReport("refused");
