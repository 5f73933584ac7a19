import { type FastifyInstance, type FastifyRequest, fastify } from "fastify";
import { type PrismClient, PrismError } from "../../client/node.ts";
import { createCache } from "./cache.ts";
import { createOutbox } from "./outbox.ts";
import { createRateLimit } from "./rate-limit.ts";
import { createSessions } from "./sessions.ts";

const MESSAGES_PER_MINUTE = 10;
const STATS_TTL_SECONDS = 5;

const name = { type: "string", pattern: "^[a-z0-9-]{1,40}$" };
const text = { type: "string", minLength: 1, maxLength: 1000 };
const bodyOf = (properties: Readonly<Record<string, object>>) => ({
  body: { type: "object", required: Object.keys(properties), additionalProperties: false, properties },
});

/** The routes. All that they keep is in Prism, so any number of instances may run. */
export function createService(client: PrismClient): FastifyInstance {
  const sessions = createSessions(client);
  const outbox = createOutbox(client);
  const cached = createCache(client);
  const secondsUntilRoom = createRateLimit(client, MESSAGES_PER_MINUTE);
  const app = fastify();

  async function userOf(request: FastifyRequest): Promise<string> {
    const session = await sessions.find(tokenOf(request));
    if (session === undefined) {
      throw httpError(401, "POST /login first, and send the token as Authorization: Bearer TOKEN");
    }
    return session.user;
  }

  app.setErrorHandler((error, _request, reply) => {
    if (!(error instanceof PrismError)) {
      return reply.send(error);
    }
    console.error(`${error.reason}: ${error.message}`);
    return reply.send(httpError(503, "the store does not answer; try again later"));
  });

  // A real service checks a password here.
  app.post<{ Body: { user: string } }>("/login", { schema: bodyOf({ user: name }) }, async (request) => ({
    token: await sessions.begin(request.body.user),
  }));

  app.post("/logout", async (request, reply) => {
    await sessions.end(tokenOf(request));
    reply.code(204);
  });

  app.post<{ Body: { to: string; text: string } }>(
    "/messages",
    { schema: bodyOf({ to: name, text }) },
    async (request, reply) => {
      const user = await userOf(request);
      const seconds = await secondsUntilRoom(user);
      if (seconds > 0) {
        reply.header("retry-after", seconds);
        throw httpError(429, `${MESSAGES_PER_MINUTE} messages a minute; there is room in ${seconds} s`);
      }
      reply.code(202);
      return { id: await outbox.add(user, request.body.to, request.body.text) };
    },
  );

  app.get<{ Params: { id: string } }>("/messages/:id", async (request) => {
    const user = await userOf(request);
    const message = await outbox.find(request.params.id);
    if (message?.from !== user) {
      throw httpError(404, "you sent no such message");
    }
    return message;
  });

  app.get("/stats", () =>
    cached("stats", STATS_TTL_SECONDS, async () => ({
      sessions: await sessions.count(),
      waiting: await outbox.length(),
    })),
  );

  return app;
}

function tokenOf({ headers }: FastifyRequest): string {
  return /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
}

/** An error that Fastify answers with this status. */
function httpError(statusCode: number, message: string): Error {
  return Object.assign(new Error(message), { statusCode });
}
