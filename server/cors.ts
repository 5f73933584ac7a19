import { cors as connectCors } from "@connectrpc/connect";
import corsPlugin from "@fastify/cors";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { FailureLog } from "./calls/failure-log.ts";
import { peerOf } from "./calls/peer.ts";

/** The setting with the allowed origins. */
const SETTING = "server.cors.origins";

/** A longer origin is no valid one. */
const MAX_ORIGIN_CHARACTERS = 256;

/**
 * Allows calls from pages of other origins; [] = none, "*" = any. Refused origins are logged,
 * because a browser does not tell the page why.
 */
export async function registerCors(
  app: FastifyInstance,
  origins: "*" | readonly string[],
  failures: FailureLog,
): Promise<void> {
  if (origins !== "*") {
    app.addHook("onRequest", (request, _reply, done) => {
      const { origin } = request.headers;
      if (origin !== undefined && !origins.includes(origin) && !isOwn(origin, request)) {
        failures.tell({
          level: "info",
          message: "cross-origin request refused",
          kind: "",
          fields: () => ({
            peer: peerOf(request.raw.socket),
            origin: origin.slice(0, MAX_ORIGIN_CHARACTERS),
            setting: SETTING,
          }),
        });
      }
      done();
    });
  }
  if (origins.length > 0) {
    await app.register(corsPlugin, {
      origin: origins === "*" ? "*" : [...origins],
      methods: [...connectCors.allowedMethods],
      allowedHeaders: [...connectCors.allowedHeaders, "Authorization", "X-Request-Id"],
      exposedHeaders: [...connectCors.exposedHeaders, "X-Request-Id"],
      maxAge: 7200,
    });
  }
}

/** A page that calls its own origin, for example through a proxy, also sends its origin. */
function isOwn(origin: string, { headers }: FastifyRequest): boolean {
  return URL.canParse(origin) && new URL(origin).host === (headers[":authority"] ?? headers.host);
}
