import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { expose, type MetricSources } from "./metrics/exposition.ts";
import { createShared, writeInSlices } from "./metrics/scrape.ts";
import { CONTENT_TYPES, type TextFormat } from "./metrics/text-format.ts";

/**
 * `GET /metrics`: every metric in Prometheus' text format, or as OpenMetrics where Accept asks for
 * it. Those who ask at the same time get the same text.
 */
export function createMetricsRoute(sources: MetricSources) {
  const write = createShared((format: TextFormat) => writeInSlices(expose(sources, format)));
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const format = formatOf(request.headers.accept ?? "");
    const slices = await write(format);
    const bytes = slices.reduce((sum, { length }) => sum + length, 0);
    return reply
      .header("content-type", CONTENT_TYPES[format])
      .header("content-length", bytes)
      .send(Readable.from(slices));
  };
}

/** The first format of an Accept header that is known here; Prometheus' own if there is none. */
function formatOf(accept: string): TextFormat {
  const types = accept.split(",").map((each) => each.split(";")[0]?.trim().toLowerCase());
  const known = types.find((type) => type === "application/openmetrics-text" || type === "text/plain");
  return known === "application/openmetrics-text" ? "openmetrics" : "prometheus";
}
