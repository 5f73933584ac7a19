/**
 * A service that takes messages and delivers them: Fastify, with everything that it keeps in Prism.
 * README.md tells how to run it.
 */
import { hostname } from "node:os";
// In a project of your own: from "prism-client".
import { PrismClient } from "../../client/node.ts";
import { createOutbox, type Deliver } from "./outbox.ts";
import { createService } from "./service.ts";

const { PORT = "3000", DELIVERY_URL, WORKER = hostname() } = process.env;
const DELIVERY_TIMEOUT_MS = 10_000;

const deliver: Deliver = async (id, { from, to, text }) => {
  if (DELIVERY_URL === undefined) {
    console.log(`to ${to}, from ${from}: ${text}`);
    return;
  }
  const answer = await fetch(DELIVERY_URL, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": id },
    body: JSON.stringify({ from, to, text }),
    signal: AbortSignal.timeout(DELIVERY_TIMEOUT_MS),
  });
  await answer.body?.cancel();
  if (!answer.ok) {
    throw new Error(`${DELIVERY_URL} answered ${answer.status}`);
  }
};

const client = PrismClient.fromEnv();
const service = createService(client);
const stopping = new AbortController();
const working = createOutbox(client).work(WORKER, deliver, stopping.signal);
console.log(`listening on ${await service.listen({ port: Number(PORT), host: "127.0.0.1" })}`);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, async () => {
    stopping.abort();
    await Promise.all([service.close(), working]);
    await client.close();
  });
}
