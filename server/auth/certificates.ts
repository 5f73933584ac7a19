import type { X509Certificate } from "node:crypto";
import { isCallerName } from "./caller-name.ts";
import type { CertificateSettings } from "./settings.ts";

/** A SPIFFE ID (SPIFFE-ID section 2): a trust domain and a path. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]+(?:\/[\w.-]+)*$/;

/**
 * The name of the caller that a certificate stands for; `undefined` = it has none. The server has
 * verified the certificate.
 */
export function nameOf(
  certificate: X509Certificate,
  { nameFrom, namePrefix }: CertificateSettings,
): string | undefined {
  const name =
    nameFrom === "cn"
      ? commonNameOf(certificate)
      : (spiffeIdOf(certificate) ?? (nameFrom === "any" ? commonNameOf(certificate) : undefined));
  return name !== undefined && isCallerName(namePrefix + name) ? namePrefix + name : undefined;
}

/** An X.509-SVID has exactly one URI (SPIFFE X509-SVID section 2). */
function spiffeIdOf({ subjectAltName }: X509Certificate): string | undefined {
  const uris = altNamesOf(subjectAltName ?? "").filter((name) => name.startsWith("URI:"));
  const [id = ""] = uris.map((uri) => uri.slice("URI:".length));
  return uris.length === 1 && SPIFFE_ID.test(id) ? id : undefined;
}

/** Node quotes a name with a comma, a quote or a control character, as JSON does. */
function altNamesOf(text: string): readonly string[] {
  return text.match(/(?:[^",]|"(?:[^"\\]|\\.)*")+/g)?.map((name) => name.trim()) ?? [];
}

/** The one common name. A SPIFFE ID in its place would be another caller's name. */
function commonNameOf(certificate: X509Certificate): string | undefined {
  const name: unknown = Reflect.get(Object(certificate.toLegacyObject().subject), "CN");
  return typeof name === "string" && !name.startsWith("spiffe:") ? name : undefined;
}
