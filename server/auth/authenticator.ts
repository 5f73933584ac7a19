import type { Logger } from "pino";
import { certificateOf } from "../calls/peer.ts";
import type { Authenticator, CredentialSource } from "../calls/policies/auth.ts";
import type { Principal } from "../calls/principal.ts";
import { PrismError } from "../errors.ts";
import { type ApiKeys, hashApiKey, indexApiKeys } from "./api-keys.ts";
import { nameOf } from "./certificates.ts";
import { CoarseClock } from "./coarse-clock.ts";
import { KnownCredentials } from "./known-credentials.ts";
import { principalOf } from "./roles.ts";
import type { AuthSettings } from "./settings.ts";
import { Tokens } from "./tokens.ts";

/** The longest token or key. A longer one is refused without a look at it. */
const MAX_TOKEN_CHARACTERS = 8192;

/** How long credentials are known: what is withdrawn counts for so long at most. */
const KNOWN_MS = 60_000;

/** How long bad tokens are known. Shorter, because a key may come that makes one of them good. */
const BAD_KNOWN_MS = 10_000;

/** RFC 6750 section 2.1: the scheme, and a token of these characters. */
const BEARER = /^bearer +([\w.~+/-]+=*)$/i;

const MISSING = new PrismError(
  "credentials_missing",
  'this call needs credentials: the header "Authorization: Bearer TOKEN"',
);
const MALFORMED = new PrismError(
  "credentials_invalid",
  'the credentials are not of the form "Authorization: Bearer TOKEN", given once',
);
const TOO_LONG = new PrismError(
  "credentials_invalid",
  `the credentials are longer than ${MAX_TOKEN_CHARACTERS} characters`,
);
const UNKNOWN = new PrismError("credentials_invalid", "the key is not known");
const EXPIRED = new PrismError("credentials_invalid", "the key has expired");
const OUTDATED = new PrismError("credentials_invalid", "the client certificate has expired");
const NAMELESS = new PrismError("credentials_invalid", "the client certificate does not name its caller");

/** Finds out who calls, by API keys, tokens and client certificates. */
export class CredentialAuthenticator implements Authenticator {
  readonly #log: Logger;
  readonly #clock = new CoarseClock();
  #settings: AuthSettings;
  #keys: ApiKeys;
  #tokens: Tokens;
  /** By the whole header, so that most calls are one look into a table. */
  readonly #known = new KnownCredentials<Principal>();
  /** Apart, so that a flood of bad tokens drives out no good ones. */
  readonly #bad = new KnownCredentials<PrismError>();
  /** Tokens that are being checked. Several calls with one token wait for the same answer. */
  readonly #checking = new Map<string, Promise<Principal>>();
  /** The callers of connections with a client certificate. */
  #certified = new WeakMap<object, { readonly found: Principal | PrismError; readonly untilMs: number }>();
  /** Counts how often all was forgotten: what was found out before is not kept afterwards. */
  #age = 0;
  #isClosed = false;

  constructor(settings: AuthSettings, log: Logger) {
    this.#log = log;
    this.#settings = settings;
    this.#keys = indexApiKeys(settings.apiKeys);
    this.#tokens = this.#createTokens(settings);
  }

  /** Reads the keys of all issuers. Does not fail: an issuer may be away. */
  start(): Promise<void> {
    this.#clock.start();
    return this.#tokens.start();
  }

  /**
   * Puts other settings in force at once, for calls that begin from now on. Does nothing once it is
   * closed.
   */
  async use(settings: AuthSettings): Promise<void> {
    const tokens = this.#createTokens(settings);
    // First, so that no caller is refused because the keys are on their way.
    await tokens.start();
    if (this.#isClosed) {
      tokens.close();
      return;
    }
    this.#tokens.close();
    this.#settings = settings;
    this.#keys = indexApiKeys(settings.apiKeys);
    this.#tokens = tokens;
    this.#forget();
  }

  /** Ends what runs in the background. */
  close(): void {
    this.#isClosed = true;
    this.#clock.stop();
    this.#tokens.close();
  }

  authenticate(source: CredentialSource): Principal | Promise<Principal> {
    const given = source.header("authorization");
    const { nowMs } = this.#clock;
    if (given === undefined) {
      return this.#certificateHolder(source.socket, nowMs);
    }
    return this.#known.get(given, nowMs) ?? this.#find(given, nowMs);
  }

  #find(given: string, nowMs: number): Principal | Promise<Principal> {
    const bad = this.#bad.get(given, nowMs);
    if (bad !== undefined) {
      throw bad;
    }
    if (given.length > MAX_TOKEN_CHARACTERS + "Bearer ".length) {
      throw TOO_LONG;
    }
    const [, token] = BEARER.exec(given) ?? [];
    if (token === undefined) {
      throw MALFORMED;
    }
    return this.#keyHolder(given, token, nowMs) ?? this.#tokenHolder(given, token);
  }

  /** Who has this API key; `undefined` = it is none. */
  #keyHolder(given: string, token: string, nowMs: number): Principal | undefined {
    const key = this.#keys.get(hashApiKey(token));
    if (key === undefined) {
      return undefined;
    }
    const leftMs = (key.expiresAtMs ?? Number.POSITIVE_INFINITY) - Date.now();
    if (leftMs <= 0) {
      throw EXPIRED;
    }
    const principal = principalOf(this.#settings.roles, key);
    this.#known.set(given, principal, nowMs + Math.min(leftMs, KNOWN_MS));
    return principal;
  }

  #tokenHolder(given: string, token: string): Promise<Principal> {
    // Only a token has dots between its three parts.
    if (this.#settings.jwt.length === 0 || token.split(".", 4).length !== 3) {
      throw UNKNOWN;
    }
    let checking = this.#checking.get(given);
    if (checking === undefined) {
      checking = this.#check(given, token).finally(() => this.#checking.delete(given));
      this.#checking.set(given, checking);
    }
    return checking;
  }

  async #check(given: string, token: string): Promise<Principal> {
    const age = this.#age;
    const { roles } = this.#settings;
    try {
      const { caller, expiresAtMs } = await this.#tokens.check(token);
      const principal = principalOf(roles, caller);
      if (age === this.#age) {
        this.#known.set(given, principal, performance.now() + Math.min(expiresAtMs - Date.now(), KNOWN_MS));
      }
      return principal;
    } catch (error) {
      if (error instanceof PrismError && error.reason === "credentials_invalid" && age === this.#age) {
        this.#bad.set(given, error, performance.now() + BAD_KNOWN_MS);
      }
      throw error;
    }
  }

  #certificateHolder(socket: object, nowMs: number): Principal {
    const { certificates, roles } = this.#settings;
    // node:http2 has no socket for a request whose connection is gone.
    if (certificates === undefined || typeof socket !== "object") {
      throw MISSING;
    }
    let known = this.#certified.get(socket);
    if (known === undefined || known.untilMs <= nowMs) {
      const certificate = certificateOf(socket);
      if (certificate === undefined) {
        throw MISSING;
      }
      const name = nameOf(certificate, certificates);
      const leftMs = certificate.validToDate.getTime() - Date.now();
      known = {
        found: name === undefined ? NAMELESS : leftMs <= 0 ? OUTDATED : principalOf(roles, { name }),
        untilMs: nowMs + Math.max(0, Math.min(leftMs, KNOWN_MS)),
      };
      this.#certified.set(socket, known);
    }
    if (known.found instanceof PrismError) {
      throw known.found;
    }
    return known.found;
  }

  #createTokens(settings: AuthSettings): Tokens {
    return new Tokens(
      settings.jwt,
      ({ issuer }) => ({
        onChanged: () => this.#forget(),
        onFailing: (error) =>
          error === undefined
            ? this.#log.info({ issuer }, "the keys of a token issuer can be read")
            : this.#log.warn(
                { issuer, error },
                "the keys of a token issuer cannot be read; those known stay",
              ),
      }),
      () => performance.now(),
    );
  }

  /** Forgets what it knows, because something was withdrawn perhaps. */
  #forget(): void {
    this.#known.clear();
    this.#bad.clear();
    this.#certified = new WeakMap();
    this.#age++;
  }
}
