/** The format of `auth:` in a configuration file: who may call, and what each may do. */
import { z } from "zod";
import { ALGORITHMS, KEY_REFRESH_MS } from "../auth/settings.ts";
import { ADMIN_ROLES, PERMISSIONS } from "../calls/principal.ts";
import { SERVICE_PATTERN } from "../namespaces/rules.ts";
import { hostOf, isLoopback } from "./address.ts";
import { setting } from "./setting.ts";

/** A name, or a beginning of names with `*` behind it. */
export const patternSchema = z.string().regex(SERVICE_PATTERN, {
  error: 'expected a name, a beginning of names with "*" behind it, or "*" for all',
});

/** Names of callers and of roles: 1 to 255 characters, none of them a control character or "*". */
const callerSchema = z.string().regex(/^[^*\p{Cc}]{1,255}$/u, {
  error: 'expected a name of 1 to 255 characters, without "*" and control characters',
});

const namePrefixSchema = z
  .string()
  .regex(/^[^*\p{Cc}]{0,100}$/u, { error: 'expected at most 100 characters, without "*"' })
  .default("");

/** What somebody may do in a namespace: these settings stand wherever permissions are given. */
export const PERMISSION_SETTINGS = {
  permissions: () => setting(z.array(z.enum(PERMISSIONS)).min(1), "What they may do."),
  key_prefix: () => setting(z.string().default(""), "Their keys start with this. Empty = all keys."),
  methods: () =>
    setting(
      z.array(z.string().min(1)).min(1).optional(),
      "The calls, by their names, such as Get. Absent = all that the permissions allow.",
    ),
};

const apiKeySchema = z.strictObject({
  name: setting(
    callerSchema.clone(),
    "The caller's name, for roles, the access of namespaces, quotas and the log. Several keys may have one name: the old one and the new one.",
  ),
  hash: setting(
    z.string().regex(/^sha256:[0-9a-f]{64}$/, {
      error: 'expected "sha256:" and 64 hexadecimal digits, as "prism auth hash" prints them',
    }),
    "The hash of the key, as prism auth hash prints it. Of random keys only: the hash of a word is soon guessed.",
  ),
  roles: setting(z.array(z.string()).default([]), "The names of its roles, besides those of its name."),
  expires_at: setting(
    z.iso
      .datetime({ offset: true, error: 'expected a time such as "2027-01-31T00:00:00Z"' })
      .transform((text) => Date.parse(text))
      .optional(),
    "From then on it is refused. Absent = never.",
  ),
});

const urlSchema = z.string().refine(isKeyUrl, {
  error: "expected an https URL; http is for loopback addresses only, because keys must not be forged",
});

function isKeyUrl(text: string): boolean {
  if (!URL.canParse(text)) {
    return false;
  }
  const url = new URL(text);
  const { protocol, username, password } = url;
  const isSafe = protocol === "https:" || (protocol === "http:" && isLoopback(hostOf(url)));
  return isSafe && username + password === "";
}

const issuerSchema = z
  .strictObject({
    issuer: setting(z.string().min(1), "The claim iss of its tokens, exactly."),
    audience: setting(
      z.union(
        [
          z
            .string()
            .min(1)
            .transform((one) => [one]),
          z.array(z.string().min(1)).min(1),
        ],
        {
          error: "expected text or a list of texts",
        },
      ),
      "The claim aud must have this, or one of these.",
    ),
    algorithms: setting(
      z.array(z.enum(ALGORITHMS)).min(1),
      "The signatures that are accepted: RS256, ES256, EdDSA.",
    ),
    jwks_url: setting(
      urlSchema.optional(),
      `Where its public keys are (a JWK Set). They are read again every ${KEY_REFRESH_MS / 1000} seconds, and when a token names an unknown one.`,
    ),
    jwks_file: setting(z.string().min(1).optional(), "The same in a file."),
    clock_skew_ms: setting(
      z.number().min(0).max(600_000).int().default(30_000),
      "How far its clock may be off where exp and nbf are checked. 0 = not at all.",
    ),
    name_claim: setting(z.string().min(1).default("sub"), "The claim with the caller's name."),
    name_prefix: setting(
      namePrefixSchema.clone(),
      "Put in front of the name, so that no issuer can name a caller of another.",
    ),
    scope_claim: setting(
      z.string().min(1).default("scope"),
      "The claim with the scopes: text with spaces between them, or a list.",
    ),
    granting_scopes: setting(
      z.boolean().default(false),
      "True = scopes of the form prism:PERMISSION:NAMESPACES or prism:PERMISSION:NAMESPACES:KEY_PREFIX grant what they say.",
    ),
  })
  .refine(({ jwks_url: url, jwks_file: file }) => (url === undefined) !== (file === undefined), {
    path: ["issuer"],
    error: "expected jwks_url or jwks_file, and not both",
  });

const certificatesSchema = z.strictObject({
  name_from: setting(
    z.enum(["any", "spiffe", "cn"]).default("any"),
    "What names the caller: spiffe = the SPIFFE ID (the one URI among the alternative names), cn = the common name, any = the SPIFFE ID, and without one the common name.",
  ),
  name_prefix: setting(namePrefixSchema.clone(), "Put in front of the name."),
});

const roleSchema = z.strictObject({
  name: setting(callerSchema.clone(), "What keys name it."),
  grants: z
    .array(
      z.strictObject({
        namespaces: setting(
          patternSchema.clone(),
          'Where: a namespace, or a beginning of names with "*" behind it, or "*" for all.',
        ),
        permissions: PERMISSION_SETTINGS.permissions(),
        key_prefix: PERMISSION_SETTINGS.key_prefix(),
        methods: PERMISSION_SETTINGS.methods(),
      }),
    )
    .default([]),
  admin_role: setting(
    z.enum(ADMIN_ROLES).optional(),
    "What it allows on the admin port: viewer = look, operator = change, admin = everything. Absent = nothing.",
  ),
  callers: setting(
    z.array(patternSchema).default([]),
    'Who has it: names of callers, or beginnings of names with "*" behind them.',
  ),
  scopes: setting(z.array(z.string().min(1)).default([]), "A token with one of these scopes has it."),
});

/** Who may call. */
export const authSchema = z.strictObject({
  api_keys: z.array(apiKeySchema).default([]),
  jwt: z.array(issuerSchema).default([]),
  certificates: certificatesSchema.optional(),
  roles: z.array(roleSchema).default([]),
});
