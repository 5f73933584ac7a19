import { readFile } from "node:fs/promises";
import type { FastifyReply, FastifyRequest } from "fastify";

/** Made from `proto/` by `make proto`; the build copies it beside the code. */
const FILE = new URL("../gen/openapi.json", import.meta.url);

/** `GET /openapi.json`: the JSON API of both ports as OpenAPI 3.1. */
export function createOpenApiRoute() {
  let text: Promise<string> | undefined;
  return async (_request: FastifyRequest, reply: FastifyReply) => {
    text ??= readFile(FILE, "utf8");
    return reply.type("application/json; charset=utf-8").send(await text);
  };
}
