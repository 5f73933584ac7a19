/** A Fastify route that answers a key with its value as JSON: a JSON service without Prism. */
import { fastify } from "fastify";
import { listening, VALUES } from "./store.ts";

const app = fastify();
app.post<{ Body: { key: string } }>(
  "/prism.interfaces.keyvalue.KeyValueBasicInterface/Get",
  async ({ body: { key } }, reply) => {
    const value = VALUES.get(key);
    return value === undefined ? reply.code(404).send() : { value: Buffer.from(value).toString("base64") };
  },
);
app.post<{ Body: { key: string; value: string } }>(
  "/prism.interfaces.keyvalue.KeyValueBasicInterface/Set",
  async ({ body: { key, value } }) => {
    VALUES.set(key, Buffer.from(value, "base64"));
    return { success: true };
  },
);
await app.listen({ host: "127.0.0.1", port: 0 });
listening(app.server.address());
