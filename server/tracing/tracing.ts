import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { createSpanExporter, type SpanExporter } from "./exporter.ts";

/** Makes the exporter that the configuration asks for; `undefined` = it asks for none. */
export function createTracing({ tracing }: Config, log: Logger): SpanExporter | undefined {
  const { endpoint, headers, serviceName, resource } = tracing;
  return endpoint === undefined
    ? undefined
    : createSpanExporter({
        url: new URL(endpoint),
        headers,
        // The operator's attributes win.
        resource: {
          "service.instance.id": randomUUID(),
          "host.name": hostname(),
          "service.name": serviceName,
          ...resource,
        },
        log,
      });
}
