import type { AdminRole, Grant } from "../calls/principal.ts";

/** The signatures that tokens may have. */
export const ALGORITHMS = ["RS256", "ES256", "EdDSA"] as const;

/**
 * How often the keys of issuers are read again. With the time that a token is known for, a key that
 * is withdrawn counts for a minute at most, because then all known tokens are forgotten.
 */
export const KEY_REFRESH_MS = 50_000;

/** A key that a caller may send. Several keys may have one name, so that a key can be changed. */
export interface ApiKeySettings {
  /** The caller's name. */
  readonly name: string;
  /** `sha256:` and 64 hexadecimal digits, as `prism auth hash` prints it. */
  readonly hash: string;
  /** The names of its roles, besides those that its name has. */
  readonly roles: readonly string[];
  /** On the clock of `Date.now()`. `undefined` = never. */
  readonly expiresAtMs: number | undefined;
}

/** Who issues tokens, and what must be true of them. */
export interface IssuerSettings {
  /** The claim `iss`, exactly. */
  readonly issuer: string;
  /** The claim `aud` must have one of these. */
  readonly audience: readonly string[];
  readonly algorithms: readonly (typeof ALGORITHMS)[number][];
  /** Where its public keys are: a URL, or a file by its absolute name. */
  readonly keys: { readonly url: string } | { readonly file: string };
  readonly clockSkewMs: number;
  /** The claim with the caller's name. */
  readonly nameClaim: string;
  /** Put in front of the name, so that no issuer can name a caller of another. */
  readonly namePrefix: string;
  /** The claim with the scopes: text with spaces between them, or a list. */
  readonly scopeClaim: string;
  /** Whether scopes like `prism:read:NAMESPACE` grant what they say. */
  readonly grantingScopes: boolean;
}

/** How a client certificate names its caller. */
export interface CertificateSettings {
  /** The SPIFFE ID, the common name, or the SPIFFE ID and without one the common name. */
  readonly nameFrom: "spiffe" | "cn" | "any";
  readonly namePrefix: string;
}

/** A named set of permissions, and who has it besides the keys that name it. */
export interface RoleSettings {
  readonly name: string;
  readonly grants: readonly Grant[];
  /** What it allows on the admin port. `undefined` = nothing. */
  readonly adminRole: AdminRole | undefined;
  /** Patterns of callers' names. */
  readonly callers: readonly string[];
  /** A token with one of these scopes has it. */
  readonly scopes: readonly string[];
}

/** Who may call, and what each may do. */
export interface AuthSettings {
  readonly apiKeys: readonly ApiKeySettings[];
  readonly jwt: readonly IssuerSettings[];
  /** `undefined` = certificates name nobody. */
  readonly certificates: CertificateSettings | undefined;
  readonly roles: readonly RoleSettings[];
}
