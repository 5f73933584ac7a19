import { createHash, randomBytes } from "node:crypto";
import { json, KeyNotFoundError, type PrismClient } from "../../client/node.ts";

const PREFIX = "session:";

/** A session that nobody uses for so long is over. */
const TTL_SECONDS = 3600;

/** Who is logged in. */
export interface Session {
  readonly user: string;
}

/** Sessions are entries that expire. Each use makes them last longer. */
export function createSessions({ keyvalue }: PrismClient) {
  const sessions = keyvalue.as(json<Session>());
  return {
    /** Answers the token of a new session. */
    async begin(user: string): Promise<string> {
      const token = randomBytes(32).toString("base64url");
      await sessions.set(keyOf(token), { user }, { ttlSeconds: TTL_SECONDS });
      return token;
    },

    /** The session of a token; `undefined` = there is none, or it is over. */
    async find(token: string): Promise<Session | undefined> {
      const key = keyOf(token);
      try {
        const session = await sessions.get(key);
        await keyvalue.expire(key, TTL_SECONDS);
        return session;
      } catch (error) {
        if (error instanceof KeyNotFoundError) {
          return undefined;
        }
        throw error;
      }
    },

    /** Ends a session. */
    async end(token: string): Promise<void> {
      await keyvalue.delete(keyOf(token));
    },

    /** How many there are. */
    count: (): Promise<number> => keyvalue.count(PREFIX),
  };
}

/** Has no token itself, so who reads the store can take over no session. */
function keyOf(token: string): string {
  return PREFIX + createHash("sha256").update(token).digest("base64url");
}
