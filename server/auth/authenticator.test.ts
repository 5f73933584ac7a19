import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { pino } from "pino";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  authSettings,
  createKey,
  createSigningKey,
  ISSUER,
  issuerAt,
  type KeyServer,
  role,
  type SigningKey,
  startKeyServer,
} from "../../tests/helpers/tokens.ts";
import { PrismError } from "../errors.ts";
import { CredentialAuthenticator } from "./authenticator.ts";
import type { AuthSettings } from "./settings.ts";

const SILENT = pino({ level: "silent" });

/** What a test that moves the clock replaces. */
const FAKED = ["Date", "performance", "setInterval", "clearInterval"] as const;

let key: SigningKey;
let stranger: SigningKey;
beforeAll(async () => {
  [key, stranger] = await Promise.all([createSigningKey(), createSigningKey()]);
});

afterEach(() => {
  vi.useRealTimers();
});

const headerOf = (authorization: string | undefined) => ({
  header: (name: string) => (name === "authorization" ? authorization : undefined),
  socket: {},
});

/** The name of who is found out, or why not. */
async function outcome(auth: CredentialAuthenticator, authorization: string | undefined): Promise<string> {
  try {
    return (await auth.authenticate(headerOf(authorization))).name;
  } catch (error) {
    return error instanceof PrismError ? `${error.reason}: ${error.message}` : String(error);
  }
}

/** An authenticator with an issuer whose key is `key`. */
async function setUp(more: Partial<AuthSettings> = {}, issuer: Parameters<typeof issuerAt>[1] = {}) {
  const keys: KeyServer = await startKeyServer([key.jwk]);
  const auth = new CredentialAuthenticator(
    authSettings({ jwt: [issuerAt(keys.url, issuer)], ...more }),
    SILENT,
  );
  await auth.start();
  return {
    auth,
    keys,
    async [Symbol.asyncDispose]() {
      auth.close();
      await keys[Symbol.asyncDispose]();
    },
  };
}

const nowS = () => Math.floor(Date.now() / 1000);

test("nothing runs on behind its end, also if other settings come meanwhile or later", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  await using at = await setUp();
  const settings = authSettings({ jwt: [issuerAt(at.keys.url)] });
  expect(vi.getTimerCount()).toBe(2);
  const meanwhile = at.auth.use(settings);
  at.auth.close();
  await meanwhile;
  await at.auth.use(settings);
  expect(vi.getTimerCount()).toBe(0);
});

describe("API keys", () => {
  test("a key, another one of the same name, and none", async () => {
    const [first, second, other] = [createKey("web"), createKey("web"), createKey("web")];
    await using at = await setUp({ apiKeys: [first.settings, second.settings], jwt: [] });
    expect(await outcome(at.auth, first.bearer)).toBe("web");
    expect(await outcome(at.auth, second.bearer)).toBe("web");
    expect(await outcome(at.auth, first.bearer.replace("Bearer", "bearer"))).toBe("web");
    expect(await outcome(at.auth, other.bearer)).toBe("credentials_invalid: the key is not known");
    expect(await outcome(at.auth, undefined)).toMatch(/^credentials_missing: /);
  });

  test("its caller has the roles of the key and of the name", () => {
    const grants = [{ namespaces: "a", permissions: ["read"], keyPrefix: "", methods: undefined }] as const;
    const { bearer, settings } = createKey("web", ["reader"]);
    const roles = [role("reader", { grants }), role("viewer", { callers: ["web"], adminRole: "viewer" })];
    const auth = new CredentialAuthenticator(authSettings({ apiKeys: [settings], roles }), SILENT);
    expect(auth.authenticate(headerOf(bearer))).toEqual({ name: "web", grants, adminRole: "viewer" });
    // The same object, so that what is found out of it can be remembered.
    expect(auth.authenticate(headerOf(bearer))).toBe(auth.authenticate(headerOf(bearer)));
  });

  test("it expires, also while it is known", async () => {
    vi.useFakeTimers({ toFake: [...FAKED] });
    const { bearer, settings } = createKey("web", [], Date.now() + 1000);
    await using at = await setUp({ apiKeys: [settings], jwt: [] });
    expect(await outcome(at.auth, bearer)).toBe("web");
    vi.advanceTimersByTime(900);
    expect(await outcome(at.auth, bearer)).toBe("web");
    vi.advanceTimersByTime(100);
    expect(await outcome(at.auth, bearer)).toBe("credentials_invalid: the key has expired");
  });

  test("one that is withdrawn is refused at once", async () => {
    const [old, fresh] = [createKey("web"), createKey("web")];
    const auth = new CredentialAuthenticator(authSettings({ apiKeys: [old.settings] }), SILENT);
    expect(await outcome(auth, old.bearer)).toBe("web");
    await auth.use(authSettings({ apiKeys: [fresh.settings] }));
    expect(await outcome(auth, old.bearer)).toBe("credentials_invalid: the key is not known");
    expect(await outcome(auth, fresh.bearer)).toBe("web");
  });
});

describe("tokens", () => {
  test.each(["RS256", "ES256", "EdDSA"] as const)("a good one with %s", async (alg) => {
    const own = await createSigningKey("first", alg);
    await using at = await setUp({}, { algorithms: [alg] });
    at.keys.keys = [own.jwk];
    await at.auth.use(authSettings({ jwt: [issuerAt(at.keys.url, { algorithms: [alg] })] }));
    expect(await outcome(at.auth, `Bearer ${await own.sign("alice")}`)).toBe("alice");
  });

  test("is known after the first call, and then found at once", async () => {
    await using at = await setUp();
    const authorization = `Bearer ${await key.sign("alice")}`;
    const [first, second] = [1, 2].map(() => at.auth.authenticate(headerOf(authorization)));
    expect(first).toBeInstanceOf(Promise);
    expect(second).toBe(first);
    expect(at.auth.authenticate(headerOf(authorization))).toBeInstanceOf(Promise);
    const principal = await first;
    expect(at.auth.authenticate(headerOf(authorization))).toBe(principal);
  });

  const b64 = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = () => ({ iss: ISSUER, aud: "prism", sub: "alice", exp: nowS() + 60 });

  test.each<[string, () => Promise<string> | string, string]>([
    ["of another audience", () => key.sign("alice", { aud: "other" }), "is for another audience"],
    ["for nobody", () => key.sign("alice", { aud: undefined }), "is for another audience"],
    ["of another issuer", () => key.sign("alice", { iss: "https://evil" }), "one of this gateway"],
    ["without an issuer", () => key.sign("alice", { iss: undefined }), "names no issuer"],
    ["that expired a second ago", () => key.sign("alice", { exp: nowS() - 1 }), "the token has expired"],
    ["that expires now", () => key.sign("alice", { exp: nowS() }), "the token has expired"],
    ["that never expires", () => key.sign("alice", { exp: undefined }), 'claim "exp"'],
    ["of tomorrow", () => key.sign("alice", { nbf: nowS() + 86_400 }), 'claim "nbf"'],
    ["with another's signature", () => stranger.sign("alice"), "the signature of the token does not fit it"],
    ["with an unknown key", () => key.sign("alice", {}, { kid: "unknown" }), "is not known"],
    ["without a name", () => key.sign("", {}), "does not name its caller"],
    ["with a name of two lines", () => key.sign("a\nb", {}), "does not name its caller"],
    ["with a name too long", () => key.sign("a".repeat(256), {}), "does not name its caller"],
    ["with alg none", () => `${b64({ alg: "none" })}.${b64(claims())}.`, ""],
    [
      "with alg none and a signature",
      () => `${b64({ alg: "none", kid: "first" })}.${b64(claims())}.AAAA`,
      "another algorithm",
    ],
    [
      "with an HMAC of the public key",
      () => {
        const text = `${b64({ alg: "HS256", kid: "first" })}.${b64(claims())}`;
        return `${text}.${createHmac("sha256", JSON.stringify(key.jwk)).update(text).digest("base64url")}`;
      },
      "another algorithm",
    ],
    ["that is none", () => "a.b.c", "the token is malformed"],
    ["with four parts", () => "a.b.c.d", "the key is not known"],
    [
      "with an extension that must be known",
      () => `${b64({ alg: "ES256", kid: "first", crit: ["x"], x: 1 })}.${b64(claims())}.AAAA`,
      "the token is malformed",
    ],
  ])("%s", async (_, token, message) => {
    await using at = await setUp();
    const authorization = `Bearer ${await token()}`;
    const refused = await outcome(at.auth, authorization);
    expect(refused).toMatch(/^credentials_invalid: /);
    expect(refused).toContain(message);
    // It is known to be bad by now.
    expect(() => at.auth.authenticate(headerOf(authorization))).toThrow(message);
    expect(await outcome(at.auth, `Bearer ${await key.sign("bob")}`)).toBe("bob");
  });

  test("signed with a key of too few bits", async () => {
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
    await using at = await setUp({}, { algorithms: ["RS256"] });
    at.keys.keys = [{ ...weak.publicKey.export({ format: "jwk" }), kid: "weak", kty: "RSA" }];
    await at.auth.use(authSettings({ jwt: [issuerAt(at.keys.url, { algorithms: ["RS256"] })] }));
    const text = `${b64({ alg: "RS256", kid: "weak" })}.${b64(claims())}`;
    const signature = sign("sha256", Buffer.from(text), weak.privateKey).toString("base64url");
    expect(await outcome(at.auth, `Bearer ${text}.${signature}`)).toBe(
      "credentials_invalid: the key that the token is signed with cannot be used",
    );
  });

  test("of very many at once some are asked to come later, and are good then", async () => {
    await using at = await setUp();
    const many = await Promise.all(Array.from({ length: 300 }, (_, i) => key.sign(`caller-${i}`)));
    const all = () => Promise.all(many.map((token) => outcome(at.auth, `Bearer ${token}`)));
    const refused = (await all()).filter((each) => !each.startsWith("caller-"));
    expect(new Set(refused)).toEqual(new Set(["overloaded: too many tokens are being checked"]));
    expect(refused).toHaveLength(300 - 256);
    expect(await all()).toEqual(many.map((_, i) => `caller-${i}`));
  });

  test("the clock of the issuer may be off by as much as it may", async () => {
    await using at = await setUp({}, { clockSkewMs: 5000 });
    expect(await outcome(at.auth, `Bearer ${await key.sign("alice", { exp: nowS() - 3 })}`)).toBe("alice");
    expect(await outcome(at.auth, `Bearer ${await key.sign("alice", { exp: nowS() - 6 })}`)).toContain(
      "expired",
    );
  });

  test("one that is known expires when it says, and is looked at again after a minute", async () => {
    vi.useFakeTimers({ toFake: [...FAKED] });
    await using at = await setUp();
    const short = `Bearer ${await key.sign("alice", { exp: nowS() + 30 })}`;
    const long = `Bearer ${await key.sign("bob", { exp: nowS() + 3600 })}`;
    expect([await outcome(at.auth, short), await outcome(at.auth, long)]).toEqual(["alice", "bob"]);
    expect(at.auth.authenticate(headerOf(short))).not.toBeInstanceOf(Promise);
    vi.advanceTimersByTime(30_000);
    expect(await outcome(at.auth, short)).toContain("expired");
    vi.advanceTimersByTime(29_900);
    expect(at.auth.authenticate(headerOf(long))).not.toBeInstanceOf(Promise);
    vi.advanceTimersByTime(100);
    expect(at.auth.authenticate(headerOf(long))).toBeInstanceOf(Promise);
  });

  test("where its key is withdrawn it is refused, though it was known", async () => {
    vi.useFakeTimers({ toFake: [...FAKED] });
    const second = await createSigningKey("second");
    await using at = await setUp();
    const authorization = `Bearer ${await key.sign("alice")}`;
    expect(await outcome(at.auth, authorization)).toBe("alice");
    at.keys.keys = [second.jwk];
    vi.advanceTimersByTime(10_000);
    // A token with the new key makes the gateway look.
    expect(await outcome(at.auth, `Bearer ${await second.sign("bob")}`)).toBe("bob");
    expect(await outcome(at.auth, authorization)).toContain("is not known");
  });

  test("names, prefixes and scopes come from the claims that the issuer's settings name", async () => {
    await using at = await setUp(
      { roles: [role("viewer", { scopes: ["look"], adminRole: "viewer" })] },
      { nameClaim: "client_id", namePrefix: "web:", scopeClaim: "scp", grantingScopes: true },
    );
    const given = { client_id: "shop", scp: ["look", "prism:read:orders:user/1/", 7] };
    expect(await at.auth.authenticate(headerOf(`Bearer ${await key.sign("alice", given)}`))).toEqual({
      name: "web:shop",
      grants: [{ namespaces: "orders", permissions: ["read"], keyPrefix: "user/1/", methods: undefined }],
      adminRole: "viewer",
    });
  });
});

describe("the header", () => {
  test.each([
    ["", "once"],
    ["Bearer", "once"],
    ["Bearer ", "once"],
    ["Basic dXNlcjpwYXNz", "once"],
    ["Bearer a b", "once"],
    ["Bearer a, Bearer b", "once"],
    [", Bearer a", "once"],
    [`Bearer ${"a".repeat(8193)}`, "longer than 8192"],
    [`Bearer ${"a".repeat(100_000)}`, "longer than 8192"],
    [`Bearer ${"a".repeat(8192)}`, "not known"],
  ])("%.20j is refused", async (authorization, message) => {
    await using at = await setUp();
    expect(await outcome(at.auth, authorization)).toMatch(/^credentials_invalid: /);
    expect(await outcome(at.auth, authorization)).toContain(message);
  });
});
