/** Keys and certificates in a folder of their own, made by openssl. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Disposing removes the folder. */
export interface Certificates extends Disposable {
  /** The path of `NAME.crt`, `NAME.key` or any other file of the folder. */
  path(file: string): string;
  pem(file: string): Buffer;
  /**
   * Makes NAME.key and NAME.crt, signed by `ca`, or by itself without one. `subject` is in
   * openssl's form; the default is /CN=NAME.
   */
  create(
    name: string,
    options?: { readonly ca?: string; readonly subject?: string; readonly altNames?: string },
  ): void;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Makes the folder. */
export function createCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "prism-tls-"));
  const path = (file: string) => join(folder, file);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  return {
    path,
    pem: (file) => readFileSync(path(file)),
    create(name, { ca, subject = `/CN=${name}`, altNames = "DNS:localhost,IP:127.0.0.1" } = {}) {
      const key = [...NEW_KEY, "-keyout", `${name}.key`, "-subj", subject];
      if (ca === undefined) {
        openssl("req", "-x509", ...key, "-out", `${name}.crt`, "-days", "2");
        return;
      }
      openssl("req", ...key, "-out", `${name}.csr`);
      writeFileSync(path("ext"), `subjectAltName=${altNames}`);
      const signer = ["-CA", `${ca}.crt`, "-CAkey", `${ca}.key`, "-CAcreateserial"];
      const ext = ["-days", "2", "-extfile", "ext"];
      openssl("x509", "-req", "-in", `${name}.csr`, ...signer, "-out", `${name}.crt`, ...ext);
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  };
}
