/** How many keys a second do Gets of a hundred keys read, beside Gets of one key, over gRPC? */
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../client/transport/transport.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { startPrism } from "./harness/peers.ts";
import { type Peer, pinThisProcess } from "./harness/process.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 9;
const RUN_MS = 700;
const KEYS = 10_000;
const BATCH_KEYS = 100;
/** As many callers as keep the server busy. */
const IN_FLIGHT = { Get: 64, BatchGet: 8 } as const;

const keyOf = (i: number) => `key:${i % KEYS}`;

async function askGets(name: string, { port }: Peer): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const single = createClient(KeyValueBasicInterface, transport);
  const batch = createClient(KeyValueBatchInterface, transport);
  const value = new Uint8Array(100);
  for (let at = 0; at < KEYS; at += BATCH_KEYS) {
    const items = Array.from({ length: BATCH_KEYS }, (_, i) => ({ key: keyOf(at + i), value }));
    await batch.batchSet({ items });
  }
  let next = 0;
  /** Keys a second. */
  const rate = async (lanes: number, keysOfCall: number, call: (at: number) => Promise<unknown>) => {
    const startedAtMs = performance.now();
    let keys = 0;
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        while (performance.now() - startedAtMs < RUN_MS) {
          next += 7;
          await call(next);
          keys += keysOfCall;
        }
      }),
    );
    return keys / ((performance.now() - startedAtMs) / 1000);
  };
  const runs = await interleaved(
    {
      Get: () => rate(IN_FLIGHT.Get, 1, (at) => single.get({ key: keyOf(at) })),
      "BatchGet(100)": () =>
        rate(IN_FLIGHT.BatchGet, BATCH_KEYS, (at) =>
          batch.batchGet({ keys: Array.from({ length: BATCH_KEYS }, (_, i) => keyOf(at + i)) }),
        ),
    },
    ROUNDS,
  );
  report(`gRPC Gets from ${name}, values of 100 bytes`, partsOfFirst(runs, "keys/s"), runs);
  transport.close();
}

pinThisProcess();
{
  await using prism = await startPrism();
  await askGets("memory", prism);
}
if (canStartPostgres()) {
  await using server = await startPostgres();
  await using prism = await startPrism({
    database: backendSchema.parse({ type: "postgres", url: server.url }),
  });
  await askGets("PostgreSQL", prism);
}
writeReport("batch");
