import { Code } from "@connectrpc/connect";
import { describe } from "./convert.ts";
import { invalidField, PrismError } from "./errors.ts";

/** A token as its issuer gives it. */
export interface AccessToken {
  readonly token: string;
  /** When it expires: milliseconds since 1970. Absent: it is used until the gateway refuses it. */
  readonly expiresAtMs?: number | undefined;
}

/** Gets a token. It is asked again before the token expires, and when the gateway refuses it. */
export type TokenProvider = () => string | AccessToken | Promise<string | AccessToken>;

/** Who calls: an API key or a token, or what gets tokens. */
export type Credentials = string | TokenProvider;

/** A token is renewed in the last fifth of its life, at most so long before its end. */
const MAX_RENEWAL_MS = 60_000;

/** The least time between two tries to renew a token that is still good. */
const RENEWAL_PAUSE_MS = 1000;

/** A token in use. */
interface Held {
  readonly headers: Headers;
  readonly expiresAtMs: number;
  /** When the next one is to be got. */
  renewAtMs: number;
}

/** The headers of calls with tokens that are renewed. All calls share one token. */
export class TokenSource {
  readonly #provider: TokenProvider;
  readonly #headers: Headers | undefined;
  #held: Held | undefined;
  /** The next token, while the provider is asked. */
  #next: Promise<Headers> | undefined;

  /** `headers` are those that every call has besides. */
  constructor(provider: TokenProvider, headers: Headers | undefined) {
    this.#provider = provider;
    this.#headers = headers;
  }

  /**
   * Headers with a token that is good, at once where there is one. Rejects with reason
   * `credentials_missing` if the provider fails.
   */
  headers(): Headers | Promise<Headers> {
    const held = this.#held;
    const nowMs = Date.now();
    if (held === undefined || nowMs >= held.expiresAtMs) {
      return this.#renew();
    }
    if (nowMs >= held.renewAtMs) {
      held.renewAtMs = nowMs + RENEWAL_PAUSE_MS;
      // If that fails, a later call tries again, and hears of it once the token has expired.
      this.#renew().catch(() => {});
    }
    return held.headers;
  }

  /** The gateway refused a token: the next call gets another. */
  refuse(headers: Headers): void {
    if (this.#held?.headers === headers) {
      this.#held = undefined;
    }
  }

  #renew(): Promise<Headers> {
    this.#next ??= this.#ask().finally(() => {
      this.#next = undefined;
    });
    return this.#next;
  }

  async #ask(): Promise<Headers> {
    let given: unknown;
    try {
      given = await this.#provider();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw noToken(`the token provider failed: ${why}`, cause);
    }
    const { token, expiresAtMs = Infinity } =
      typeof given === "string" ? { token: given } : checkToken(given);
    const headers = withToken(this.#headers, token);
    const lifeMs = expiresAtMs - Date.now();
    this.#held = { headers, expiresAtMs, renewAtMs: expiresAtMs - Math.min(MAX_RENEWAL_MS, lifeMs / 5) };
    return headers;
  }
}

/**
 * The headers of calls with an API key or token. Throws `invalid_field` for what cannot be one, and
 * if `headers` have one already.
 */
export function withToken(headers: Headers | undefined, token: string): Headers {
  if (headers?.has("authorization") === true) {
    throw invalidField("credentials cannot be given with a header authorization");
  }
  // RFC 6750 section 2.1 has fewer characters; what matters is that a header can carry it.
  if (!/^[!-~]+$/.test(token)) {
    throw invalidField("credentials must be visible ASCII characters without spaces");
  }
  const all = new Headers(headers);
  all.set("authorization", `Bearer ${token}`);
  return all;
}

function checkToken(given: unknown): AccessToken {
  const { token, expiresAtMs } = (given ?? {}) as Partial<Record<keyof AccessToken, unknown>>;
  const isTime = expiresAtMs === undefined || typeof expiresAtMs === "number";
  if (typeof token !== "string" || !isTime || Number.isNaN(expiresAtMs)) {
    throw noToken(`the token provider gave ${describe(given)} that is no { token, expiresAtMs }`, undefined);
  }
  return { token, expiresAtMs };
}

function noToken(message: string, cause: unknown): PrismError {
  return new PrismError(message, { reason: "credentials_missing", code: Code.Unauthenticated, cause });
}
