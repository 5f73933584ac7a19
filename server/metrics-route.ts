import type { FastifyReply, FastifyRequest } from "fastify";
import { PrismError } from "./errors.ts";
import { expose, type MetricSources } from "./metrics/exposition.ts";
import { merge } from "./metrics/merge.ts";
import { createScraper } from "./metrics/scrape.ts";
import { CONTENT_TYPES, type TextFormat } from "./metrics/text-format.ts";

/**
 * `GET /metrics`: every metric in Prometheus' text format, or as OpenMetrics where Accept asks for
 * it; with `workers` of all processes together. One scrape is written at a time; the others wait
 * for it. If too many do, the next is answered with HTTP 503.
 */
export function createMetricsRoute(sources: MetricSources) {
  const { workers } = sources;
  const scrape = createScraper(async (format: TextFormat) =>
    workers === undefined
      ? expose(sources, format)
      : merge([textOf(sources), ...(await workers.metrics())], format),
  );
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const format = formatOf(request.headers.accept ?? "");
    try {
      const text = await scrape(format, reply.raw);
      return reply.header("content-type", CONTENT_TYPES[format]).send(text);
    } catch (error) {
      if (!(error instanceof PrismError)) {
        throw error;
      }
      // RFC 9110 section 10.2.3: in seconds.
      const seconds = Math.ceil((error.retryAfterMs ?? 0) / 1000);
      return reply.code(503).header("retry-after", seconds).send({ message: error.message });
    }
  };
}

/** The metrics of this process, in Prometheus' format. */
export function textOf(sources: MetricSources): string {
  return [...expose(sources, "prometheus")].join("");
}

/** The first format of an Accept header that is known here; Prometheus' own if there is none. */
function formatOf(accept: string): TextFormat {
  const types = accept.split(",").map((each) => each.split(";")[0]?.trim().toLowerCase());
  const known = types.find((type) => type === "application/openmetrics-text" || type === "text/plain");
  return known === "application/openmetrics-text" ? "openmetrics" : "prometheus";
}
