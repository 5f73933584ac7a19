import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { readFileAtMost } from "../read-file.ts";
import { MAX_PEM_BYTES, type TlsFiles } from "../tls-files.ts";
import type { Finding } from "./check.ts";

/** The settings that name the files. */
export type TlsPaths = Readonly<Record<keyof TlsFiles, readonly PropertyKey[]>>;

const CERTIFICATE =
  /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^-]*-----END (?:X509 |TRUSTED )?CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----/;

/**
 * Checks that TLS works with these files: each exists and has the right content, and key and
 * certificate belong together. OpenSSL would accept an EC certificate with an RSA key, and then
 * every handshake fails.
 */
export function checkTlsFiles(files: TlsFiles, paths: TlsPaths): readonly Finding[] {
  const findings: Finding[] = [];
  function read<T>(name: keyof TlsFiles, parse: (pem: string) => T | string): T | undefined {
    const file = files[name];
    if (file === undefined) {
      return undefined;
    }
    const outcome = readFileAtMost(file, MAX_PEM_BYTES);
    const parsed = "error" in outcome ? outcome.error : parse(Buffer.from(outcome.bytes).toString("latin1"));
    if (typeof parsed === "string") {
      findings.push({ path: paths[name], message: parsed });
      return undefined;
    }
    return parsed;
  }

  const ca = read("ca", readCertificates);
  const cert = read("cert", readCertificates);
  const key = read("key", readKey);
  const own = cert?.certificates[0];
  if (own !== undefined && key !== undefined && !own.checkPrivateKey(key.key)) {
    findings.push({ path: paths.key, message: "the key does not belong to the certificate of cert" });
  }
  if (findings.length === 0) {
    try {
      createSecureContext({ cert: cert?.pem, key: key?.pem, ca: ca?.pem });
    } catch (error) {
      const path = files.cert === undefined ? paths.ca : paths.cert;
      findings.push({ path, message: `cannot be used for TLS: ${opensslReason(error)}` });
    }
  }
  return findings;
}

function readCertificates(pem: string): { pem: string; certificates: X509Certificate[] } | string {
  const blocks = pem.match(CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    return PRIVATE_KEY.test(pem)
      ? "holds a private key and no certificate; are cert and key swapped?"
      : "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
  }
  try {
    return { pem, certificates: blocks.map((block) => new X509Certificate(block)) };
  } catch {
    return "holds a certificate that cannot be read";
  }
}

function readKey(pem: string): { pem: string; key: KeyObject } | string {
  if (!PRIVATE_KEY.test(pem)) {
    return pem.search(CERTIFICATE) < 0
      ? "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"
      : "holds a certificate and no private key; are cert and key swapped?";
  }
  // Encrypted, by PKCS #8 or in the older form with header lines.
  if (/-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    return 'the key is encrypted, and nobody could be asked for its passphrase; "openssl pkey -in KEY -out PLAIN" decrypts it';
  }
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch {
    return "holds a private key that cannot be read";
  }
}

/**
 * Drops the parts that only OpenSSL's authors need: "error:0A00018F:SSL routines::ee key too small"
 * becomes "ee key too small".
 */
function opensslReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.slice(message.lastIndexOf(":") + 1).trim();
}
