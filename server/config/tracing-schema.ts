// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write.
import { z } from "zod";
import { setting } from "./setting.ts";
import { DAY_MS } from "./setting-types.ts";

/** What a collector's path ends in (OTLP 1.10, "OTLP/HTTP Request"). */
const TRACES_PATH = "/v1/traces";

/** A collector's URL, with the path of spans. */
const collectorSchema = z.string().transform((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && /^https?:$/.test(url.protocol) && `${url.username}${url.password}` === "";
  if (!isPlain) {
    const message = 'expected "http://host:port" or "https://host:port"; secrets go in headers';
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }
  if (!url.pathname.endsWith(TRACES_PATH)) {
    url.pathname = `${url.pathname.replace(/\/$/, "")}${TRACES_PATH}`;
  }
  return url.href;
});

/** Pairs as in OTEL_RESOURCE_ATTRIBUTES: `a=1,b=2`, with values encoded as in URLs. */
const pairsSchema = z.string().refine((text) => pairsOf(text) !== undefined, {
  error: 'expected "name=value,name=value"',
});

function pairsOf(text: string): Readonly<Record<string, string>> | undefined {
  const pairs: [string, string][] = [];
  for (const pair of text.split(",")) {
    const at = pair.indexOf("=");
    try {
      pairs.push([pair.slice(0, at).trim(), decodeURIComponent(pair.slice(at + 1).trim())]);
    } catch {
      return undefined;
    }
    if (at < 1) {
      return undefined;
    }
  }
  return Object.fromEntries(pairs);
}

const RATIO_FORMAT = "expected a number from 0 to 1";

/** A ratio as text from a variable. */
const ratioSchema = z
  .string()
  .regex(/^\d*\.?\d+$/, { error: RATIO_FORMAT, abort: true })
  .transform(Number)
  .refine((ratio) => ratio <= 1, { error: RATIO_FORMAT });

/** `tracing:` in the configuration. */
export const tracingSchema = z.strictObject({
  endpoint: setting(
    collectorSchema.optional(),
    "The collector of traces: OTLP over HTTP with protobuf. /v1/traces is added unless it ends so. Absent = no call is traced.",
    { env: "OTEL_EXPORTER_OTLP_ENDPOINT" },
  ),
  headers: setting(
    z
      .record(z.string().regex(/^[\w-]+$/, { error: "expected the name of a header" }), z.string())
      .default({}),
    'Sent to the collector, such as authorization: "Bearer ${TOKEN}".',
    { env: "OTEL_EXPORTER_OTLP_HEADERS", schema: pairsSchema, toValue: pairsOf },
  ),
  ratio: setting(
    z.number().min(0).max(1).default(0.01),
    "The share of calls that are traced where the caller does not say. With a traceparent its flag says. 0 = none, 1 = all.",
    { env: "OTEL_TRACES_SAMPLER_ARG", schema: ratioSchema },
  ),
  tail: z
    .strictObject({
      errors: setting(
        z.boolean().default(false),
        "True = calls that fail have a span in any case. A key that is not there is no failure.",
      ),
      slower_than_ms: setting(
        z.number().min(0).max(DAY_MS).int().default(0),
        "Calls that take so long have spans in any case; as slow_call_ms counts. 0 = none for that reason.",
      ),
    })
    .prefault({}),
  service_name: setting(z.string().min(1).default("prism"), "What the traces call this service.", {
    env: "OTEL_SERVICE_NAME",
  }),
  resource: setting(
    z.record(z.string().min(1), z.string()).default({}),
    "Further attributes of this process, such as deployment.environment.name: prod.",
    { env: "OTEL_RESOURCE_ATTRIBUTES", schema: pairsSchema, toValue: pairsOf },
  ),
});
