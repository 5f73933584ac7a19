/** A store for express-session and @fastify/session: `prism-client/session`. */
import { requireKnown } from "../call.ts";
import { json } from "../codec.ts";
import { describe, wholeNumber } from "../convert.ts";
import { invalidField } from "../errors.ts";
import { type EntriesOf, ownPrefix, secondsOf, unlessAbsent } from "./entries.ts";

/** The options of a {@link SessionStore}. */
export interface SessionStoreOptions {
  /** What the keys begin with; the session's id follows. Default: `session:`. Not empty. */
  readonly prefix?: string | undefined;
  /** Whole seconds for which a session is kept whose cookie has no end. Default: 86,400, a day. */
  readonly ttlSeconds?: number | undefined;
  /**
   * `Store` of express-session, whose methods its stores must have. @fastify/session needs none.
   */
  readonly Store?: (abstract new () => object) | undefined;
}

const OPTIONS = { prefix: true, ttlSeconds: true, Store: true } satisfies Record<
  keyof SessionStoreOptions,
  true
>;

const DAY_SECONDS = 24 * 60 * 60;

/** A session as both libraries have it, with the application's own fields. */
export interface Session {
  readonly cookie: {
    /** When the session ends. Absent or null: with the browser. */
    readonly expires?: Date | string | null | undefined;
  };
}

/** Is told of a failure, or of what was asked. Where it is left out nobody is told. */
export type SessionCallback<T = void> = (error?: unknown, result?: T | null) => void;

/** What express-session and @fastify/session call. `S` is what they say that a session is. */
export interface SessionStore {
  /** The session of an id; `undefined` = there is none, or it has ended. */
  get<S extends Session>(id: string, callback: SessionCallback<S>): void;
  /** Writes a session. One that has ended is deleted. */
  set(id: string, session: Session, callback?: SessionCallback): void;
  /** Deletes a session. */
  destroy(id: string, callback?: SessionCallback): void;
  /** Keeps a session for as long as its cookie says now, without writing it. */
  touch(id: string, session: Session, callback?: SessionCallback): void;
  /** All sessions, by their ids. They must fit into memory. */
  all<S extends Session>(callback: SessionCallback<Record<string, S>>): void;
  /** How many sessions there are. */
  length(callback: SessionCallback<number>): void;
  /** Deletes all sessions. */
  clear(callback?: SessionCallback): void;
}

/**
 * A store of sessions, as JSON in the entries of a client or of a namespace of it. A session lives
 * as long as its cookie (`maxAge`), rounded up to whole seconds. The client stays yours to close.
 * Throws `invalid_field` for a wrong option. Callbacks are told of a `PrismError`.
 *
 * ```ts
 * import session from "express-session";
 *
 * app.use(session({ store: createSessionStore(client, { Store: session.Store }), secret }));
 * ```
 *
 * ```ts
 * import fastifySession from "@fastify/session";
 *
 * app.register(fastifySession, { store: createSessionStore(client), secret });
 * ```
 */
export function createSessionStore<Base extends object>(
  client: EntriesOf,
  options: SessionStoreOptions & { readonly Store: abstract new () => Base },
): Base & SessionStore;
export function createSessionStore(client: EntriesOf, options?: SessionStoreOptions): SessionStore;
export function createSessionStore(client: EntriesOf, options: SessionStoreOptions = {}): SessionStore {
  requireKnown(OPTIONS, options);
  const { ttlSeconds = DAY_SECONDS, Store = Object } = options;
  if (wholeNumber("ttlSeconds", ttlSeconds, Number.MAX_SAFE_INTEGER) === 0) {
    throw invalidField("ttlSeconds must be 1 or more");
  }
  if (typeof Store !== "function") {
    throw invalidField(`Store must be that of express-session, not ${describe(Store)}`);
  }
  const prefix = ownPrefix("prefix", options.prefix ?? "session:");
  // Abstract for TypeScript only.
  const base = new (Store as new () => object)();
  return Object.assign(base, sessionCalls(client, prefix, ttlSeconds));
}

function sessionCalls({ keyvalue }: EntriesOf, prefix: string, defaultSeconds: number): SessionStore {
  const sessions = keyvalue.as(json<Session>());

  /** Keeps a session with `keep` for as long as its cookie says; one that has ended is deleted. */
  async function keepUntilEnd(
    id: string,
    { cookie: { expires } }: Session,
    keep: (ttlSeconds: number) => Promise<void>,
  ): Promise<void> {
    const ttlSeconds = expires ? secondsOf(new Date(expires).getTime() - Date.now()) : defaultSeconds;
    await (ttlSeconds <= 0 ? destroy(id) : keep(ttlSeconds));
  }

  async function set(id: string, session: Session): Promise<void> {
    await keepUntilEnd(id, session, (ttlSeconds) => sessions.set(prefix + id, session, { ttlSeconds }));
  }

  async function touch(id: string, session: Session): Promise<void> {
    // A session that was destroyed meanwhile stays so.
    await keepUntilEnd(id, session, (ttlSeconds) => unlessAbsent(keyvalue.expire(prefix + id, ttlSeconds)));
  }

  async function destroy(id: string): Promise<void> {
    await keyvalue.delete(prefix + id);
  }

  async function all<S extends Session>(): Promise<Record<string, S>> {
    const found: [id: string, session: S][] = [];
    for await (const [key, session] of sessions.scan(prefix)) {
      found.push([key.slice(prefix.length), session as S]);
    }
    return Object.fromEntries(found);
  }

  async function clear(): Promise<void> {
    await keyvalue.deletePrefix(prefix);
  }

  return {
    get: <S extends Session>(id: string, callback: SessionCallback<S>) =>
      tell(sessions.find(prefix + id) as Promise<S | undefined>, callback),
    set: (id, session, callback) => tell(set(id, session), callback),
    destroy: (id, callback) => tell(destroy(id), callback),
    touch: (id, session, callback) => tell(touch(id, session), callback),
    all: <S extends Session>(callback: SessionCallback<Record<string, S>>) => tell(all<S>(), callback),
    length: (callback) => tell(keyvalue.count(prefix), callback),
    clear: (callback) => tell(clear(), callback),
  };
}

function tell<T>(work: Promise<T | undefined>, callback: SessionCallback<T> | undefined): void {
  work.then(
    (result) => callback?.(null, result),
    (error: unknown) => callback?.(error),
  );
}
