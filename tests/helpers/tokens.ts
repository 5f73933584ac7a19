/** An issuer of tokens for tests: its keys, its tokens, and where its public keys are. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { createApiKey, hashApiKey } from "../../server/auth/api-keys.ts";
import type { AuthSettings, IssuerSettings, RoleSettings } from "../../server/auth/settings.ts";

/** What the tests' tokens say unless a test says otherwise. */
export const ISSUER = "https://login.test";
/** As {@link ISSUER}. */
export const AUDIENCE = "prism";

/** A key of an issuer. */
export interface SigningKey {
  readonly jwk: JWK;
  /** A token of the caller `subject`, good for ten minutes, but for `claims` and `header`. */
  sign(subject: string, claims?: object, header?: Readonly<Record<string, string>>): Promise<string>;
}

/** Makes a key. */
export async function createSigningKey(
  kid = "first",
  alg: "RS256" | "ES256" | "EdDSA" = "ES256",
): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    jwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    sign(subject, claims = {}, header = {}) {
      const nowS = Math.floor(Date.now() / 1000);
      const all = { iss: ISSUER, aud: AUDIENCE, sub: subject, iat: nowS, exp: nowS + 600, ...claims };
      return new SignJWT(all).setProtectedHeader({ alg, kid, ...header }).sign(privateKey);
    },
  };
}

/** A server with the public keys of an issuer. Disposing stops it. */
export interface KeyServer extends AsyncDisposable {
  readonly url: string;
  /** What it answers with from now on. */
  keys: readonly JWK[];
  /** What it answers with in place of the keys. `undefined` = the keys. */
  instead: { readonly status: number; readonly body: string } | undefined;
  /** How often it was asked. */
  readonly asked: number;
}

/** Starts a server with public keys on loopback. */
export async function startKeyServer(keys: readonly JWK[]): Promise<KeyServer> {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked++;
    const { status, body } = keyServer.instead ?? {
      status: 200,
      body: JSON.stringify({ keys: keyServer.keys }),
    };
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${port}/keys`,
    keys,
    instead: undefined,
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return keyServer;
}

/** An issuer whose keys are at a URL. */
export function issuerAt(url: string, more: Partial<IssuerSettings> = {}): IssuerSettings {
  return {
    issuer: ISSUER,
    audience: [AUDIENCE],
    algorithms: ["ES256"],
    keys: { url },
    clockSkewMs: 0,
    nameClaim: "sub",
    namePrefix: "",
    scopeClaim: "scope",
    grantingScopes: false,
    ...more,
  };
}

/** A role that grants nothing, but for `more`. */
export function role(name: string, more: Partial<RoleSettings> = {}): RoleSettings {
  return { name, grants: [], adminRole: undefined, callers: [], scopes: [], ...more };
}

/** Settings without any way to call, but for `more`. */
export function authSettings(more: Partial<AuthSettings> = {}): AuthSettings {
  return { apiKeys: [], jwt: [], certificates: undefined, roles: [], ...more };
}

/** A new API key, and its settings. */
export function createKey(name: string, roles: readonly string[] = [], expiresAtMs?: number) {
  const key = createApiKey();
  return { bearer: `Bearer ${key}`, settings: { name, hash: hashApiKey(key), roles, expiresAtMs } };
}
