import { resolve } from "node:path";
import { z } from "zod";
import { StartError } from "./errors.ts";
import { readFileAtMost } from "./read-file.ts";

/** Larger than all well-known authorities together. */
export const MAX_PEM_BYTES = 4 * 1024 * 1024;

/** The PEM files of one end of a TLS connection. */
export interface TlsFiles {
  /** The chain, the end's own certificate first. */
  readonly cert?: string | undefined;
  /** The private key of `cert`. */
  readonly key?: string | undefined;
  /** The authorities that must have signed the other end's certificate. */
  readonly ca?: string | undefined;
}

/** The contents of {@link TlsFiles} for node:tls. What has no file is absent. */
export interface TlsPem {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

const fileNameSchema = z.string().min(1);

/** TLS to a store. File names are relative to the configuration file's folder. */
export const tlsFilesSchema = z
  .strictObject({
    ca: fileNameSchema
      .optional()
      .describe("The authority that signed the server's certificate, PEM. Absent = the well-known ones."),
    cert: fileNameSchema.optional().describe("Our certificate chain, PEM, shown if the server asks for one."),
    key: fileNameSchema.optional().describe("The private key of cert, PEM."),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: "expected cert and key together",
  });

/** Makes the file names absolute. Relative ones start at `folder`. */
export function locateTlsFiles({ ca, cert, key }: TlsFiles, folder: string): TlsFiles {
  return {
    ...(ca !== undefined && { ca: resolve(folder, ca) }),
    ...(cert !== undefined && { cert: resolve(folder, cert) }),
    ...(key !== undefined && { key: resolve(folder, key) }),
  };
}

/**
 * Reads the files. Throws {@link StartError} if one cannot be read or is larger than {@link
 * MAX_PEM_BYTES}. `config/check-tls.ts` checks their content.
 */
export function readTlsFiles({ ca, cert, key }: TlsFiles): TlsPem {
  return {
    ...(ca !== undefined && { ca: readPem(ca) }),
    ...(cert !== undefined && { cert: readPem(cert) }),
    ...(key !== undefined && { key: readPem(key) }),
  };
}

function readPem(file: string): string {
  const read = readFileAtMost(file, MAX_PEM_BYTES);
  if ("error" in read) {
    throw new StartError(`${file}: ${read.error}`);
  }
  return Buffer.from(read.bytes).toString("utf8");
}
