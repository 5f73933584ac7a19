import { z } from "zod";

const fileNameSchema = z.string().min(1);

/** TLS to a store: PEM files, relative to the working directory. */
export const tlsFilesSchema = z
  .strictObject({
    /** Authority that signed the server's certificate. Absent = the well-known ones. */
    ca: fileNameSchema.optional(),
    /** What to show where the server asks for a certificate: the chain, and its private key. */
    cert: fileNameSchema.optional(),
    key: fileNameSchema.optional(),
  })
  .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
    error: "expected cert and key together",
  });
