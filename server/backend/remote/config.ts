import { z } from "zod";
import { NAMESPACE_PATTERN } from "../../limits.ts";
import { tlsFilesSchema } from "../../tls-files.ts";

const ENDPOINT = /^(?:(https?):\/\/)?(\[[\da-f:.]+\]|[a-z\d_][a-z\d_.-]{0,252}):(\d{1,5})$/i;

const shape = {
  endpoint: z
    .string()
    .refine(isEndpoint, {
      error: 'expected "host:port", "http://host:port" or "https://host:port", with a port from 1 to 65535',
    })
    .describe(
      "The plugin's address: host:port or http://host:port without TLS, https://host:port with TLS. host:port uses TLS if tls is given.",
    ),
  namespace: z
    .string()
    .regex(NAMESPACE_PATTERN, {
      error:
        'expected a name of 1 to 63 characters: a lower-case letter, then lower-case letters, digits, "-", "_" or "."',
    })
    .optional()
    .describe("The namespace at the plugin. Absent = the call's own."),
  tls: tlsFilesSchema.optional().describe("TLS; {} trusts the system's authorities."),
};

const TLS_WITHOUT_TLS = {
  path: ["tls"],
  error: 'the endpoint begins with "http://", which is without TLS',
};

/** `type: remote`: a plugin, another process that serves Prism's interfaces over gRPC. */
export const remoteSchema = z
  .strictObject({ type: z.literal("remote"), ...shape })
  .refine(withTlsOrNot, TLS_WITHOUT_TLS);

/** `plugin:` of a namespace: the same options for that namespace alone, without `type`. */
export const pluginSchema = z
  .strictObject(shape)
  .refine(withTlsOrNot, TLS_WITHOUT_TLS)
  .transform((options): RemoteConfig => ({ type: "remote", ...options }));

/** The checked options of a remote store. */
export type RemoteConfig = z.infer<typeof remoteSchema>;

/** The endpoint as a URL. */
export function baseUrlOf({ endpoint, tls }: RemoteConfig): string {
  return /^https?:/i.test(endpoint) ? endpoint : `${tls === undefined ? "http" : "https"}://${endpoint}`;
}

function isEndpoint(text: string): boolean {
  const [match, , , digits] = ENDPOINT.exec(text) ?? [];
  const port = Number(digits);
  return (
    match !== undefined &&
    port >= 1 &&
    port <= 65535 &&
    URL.canParse(`http://${match.replace(/^https?:\/\//i, "")}`)
  );
}

function withTlsOrNot({
  endpoint,
  tls,
}: {
  readonly endpoint: string;
  readonly tls?: object | undefined;
}): boolean {
  return tls === undefined || !/^http:/i.test(endpoint);
}
