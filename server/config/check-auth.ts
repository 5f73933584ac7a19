import { readKeyFile } from "../auth/key-file.ts";
import { oneOf } from "../nearest.ts";
import type { Finding } from "./check.ts";
import type { Config, TlsConfig } from "./config.ts";

type Auth = NonNullable<Config["auth"]>;

/** Finds what contradicts itself in `auth`, and key sets that cannot be read. Reads files. */
export function checkAuth({ auth, server, admin }: Config): readonly Finding[] {
  const optional = [...checkOptional("server", server.tls, auth), ...checkOptional("admin", admin.tls, auth)];
  if (auth === undefined) {
    return optional;
  }
  const authorities = [server.tls?.clientCaFile, admin.tls?.clientCaFile];
  return [
    ...checkWays(auth),
    ...checkCertificates(auth, authorities),
    ...optional,
    ...checkRepeated(auth),
    ...checkRoles(auth),
    ...checkKeyFiles(auth),
  ];
}

function checkOptional(
  section: "server" | "admin",
  tls: TlsConfig | undefined,
  auth: Auth | undefined,
): readonly Finding[] {
  const path = [section, "tls", "client_certificates"];
  const message =
    "needs auth.certificates: clients without a certificate are let in, and those with one are to be told apart";
  return tls?.optionalClientCerts === true && auth?.certificates === undefined ? [{ path, message }] : [];
}

/** Without any way nobody could call, which nobody wants. */
function checkWays({ apiKeys, jwt, certificates }: Auth): readonly Finding[] {
  const message = "nobody could call: expected api_keys, jwt or certificates";
  return apiKeys.length + jwt.length === 0 && certificates === undefined ? [{ path: ["auth"], message }] : [];
}

function checkCertificates(
  { certificates }: Auth,
  authorities: readonly (string | undefined)[],
): readonly Finding[] {
  const message = "needs server.tls.client_ca or admin.tls.client_ca: without it nobody is asked for one";
  return certificates !== undefined && authorities.every((file) => file === undefined)
    ? [{ path: ["auth", "certificates"], message }]
    : [];
}

function checkRepeated({ apiKeys, jwt, roles }: Auth): readonly Finding[] {
  return [
    ...repeated(
      "api_keys",
      "hash",
      apiKeys.map(({ hash }) => hash),
    ),
    ...repeated(
      "jwt",
      "issuer",
      jwt.map(({ issuer }) => issuer),
    ),
    ...repeated(
      "roles",
      "name",
      roles.map(({ name }) => name),
    ),
  ];
}

/** The items of a list whose `key` an earlier item has too. */
function repeated(list: string, key: string, values: readonly string[]): readonly Finding[] {
  const first = new Map<string, number>();
  return values.flatMap((value, index) => {
    const before = first.get(value);
    if (before === undefined) {
      first.set(value, index);
      return [];
    }
    return [{ path: ["auth", list, index, key], message: `the ${key} of auth.${list}[${before}] already` }];
  });
}

function checkRoles({ apiKeys, roles }: Auth): readonly Finding[] {
  const known = roles.map(({ name }) => name);
  return apiKeys.flatMap((key, index) =>
    key.roles.flatMap((role, place) =>
      known.includes(role)
        ? []
        : [
            {
              path: ["auth", "api_keys", index, "roles", place],
              message: `no role of that name; ${oneOf(known, role)}`,
            },
          ],
    ),
  );
}

function checkKeyFiles({ jwt }: Auth): readonly Finding[] {
  return jwt.flatMap(({ keys }, index) => {
    const read = "file" in keys ? readKeyFile(keys.file) : undefined;
    return read === undefined || "keys" in read
      ? []
      : [{ path: ["auth", "jwt", index, "jwks_file"], message: read.error }];
  });
}
