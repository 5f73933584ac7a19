import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";
import { PrismError } from "../errors.ts";
import { isCallerName } from "./caller-name.ts";
import { KeySet, type KeySetListener } from "./key-set.ts";
import type { Caller } from "./roles.ts";
import type { IssuerSettings } from "./settings.ts";

/** The most signatures that are checked at the same time; each takes 0.1 ms of a core. */
const MAX_CHECKS = 256;

/** A token that was checked. */
export interface CheckedToken {
  readonly caller: Caller;
  /** On the clock of `Date.now()`, with the clock skew that its issuer is allowed. */
  readonly expiresAtMs: number;
}

/** Checks the tokens of all issuers. */
export class Tokens {
  readonly #issuers: ReadonlyMap<string, { readonly settings: IssuerSettings; readonly keys: KeySet }>;
  #checks = 0;

  /** `listenerOf` makes what hears of an issuer's keys; `now` is a clock that never goes back. */
  constructor(
    issuers: readonly IssuerSettings[],
    listenerOf: (issuer: IssuerSettings) => KeySetListener,
    now: () => number,
  ) {
    this.#issuers = new Map(
      issuers.map((settings) => [
        settings.issuer,
        { settings, keys: new KeySet(settings.keys, listenerOf(settings), now) },
      ]),
    );
  }

  /** Reads the keys of all issuers. */
  async start(): Promise<void> {
    await Promise.all([...this.#issuers.values()].map(({ keys }) => keys.start()));
  }

  close(): void {
    for (const { keys } of this.#issuers.values()) {
      keys.close();
    }
  }

  /**
   * Checks a token: who issued it, for whom, when and with which key. Throws {@link PrismError}
   * `credentials_invalid`, or `overloaded` if too many are being checked.
   */
  async check(token: string): Promise<CheckedToken> {
    const { header, issuer } = readUnchecked(token);
    const known = this.#issuers.get(issuer);
    if (known === undefined) {
      throw invalid("the issuer of the token is not one of this gateway");
    }
    const { settings, keys } = known;
    if (!settings.algorithms.some((algorithm) => algorithm === header.alg)) {
      throw invalid("the token has a signature of another algorithm");
    }
    const key = await keys.find(header);
    if (key === undefined) {
      throw invalid("the key that the token is signed with is not known");
    }
    if (this.#checks >= MAX_CHECKS) {
      throw new PrismError("overloaded", "too many tokens are being checked");
    }
    this.#checks++;
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer: settings.issuer,
        audience: [...settings.audience],
        algorithms: [...settings.algorithms],
        clockTolerance: settings.clockSkewMs / 1000,
        requiredClaims: ["exp"],
      });
      return readClaims(payload, settings);
    } catch (error) {
      throw error instanceof PrismError ? error : refusalOf(error);
    } finally {
      this.#checks--;
    }
  }
}

/** What a token says before anything of it is checked. */
function readUnchecked(token: string) {
  try {
    const { iss: issuer } = decodeJwt(token);
    if (typeof issuer !== "string") {
      throw invalid("the token names no issuer");
    }
    return { header: decodeProtectedHeader(token), issuer };
  } catch (error) {
    throw error instanceof PrismError ? error : invalid("the token is malformed");
  }
}

function readClaims(payload: JWTPayload, settings: IssuerSettings): CheckedToken {
  const { nameClaim, namePrefix, scopeClaim, grantingScopes, clockSkewMs } = settings;
  const given = payload[nameClaim];
  const name = typeof given === "string" && given !== "" ? namePrefix + given : undefined;
  if (!isCallerName(name)) {
    throw invalid("the token does not name its caller");
  }
  return {
    caller: { name, scopes: scopesOf(payload[scopeClaim]), grantingScopes },
    expiresAtMs: (payload.exp ?? 0) * 1000 + clockSkewMs,
  };
}

/** RFC 8693 section 4.2 has scopes as one text; some issuers make a list of them. */
function scopesOf(claim: unknown): readonly string[] {
  if (typeof claim === "string") {
    return claim.split(" ").filter((scope) => scope !== "");
  }
  return Array.isArray(claim) ? claim.filter((scope) => typeof scope === "string") : [];
}

function refusalOf(error: unknown): PrismError {
  // Some of jose's errors have all claims of the token, which are nothing for the log.
  return error instanceof errors.JOSEError
    ? invalid(whyRefused(error))
    : // For example a key of too few bits.
      invalid("the key that the token is signed with cannot be used", error);
}

function whyRefused(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) {
    return "the token has expired";
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return error.claim === "aud"
      ? "the token is for another audience"
      : `the claim "${error.claim}" of the token does not hold`;
  }
  return error instanceof errors.JWSSignatureVerificationFailed
    ? "the signature of the token does not fit it"
    : "the token is malformed";
}

/** `cause` is for the log. */
function invalid(message: string, cause?: unknown): PrismError {
  return new PrismError("credentials_invalid", message, { cause });
}
