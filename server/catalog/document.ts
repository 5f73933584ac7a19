import { z } from "zod";
import { PrismError } from "../errors.ts";
import type { SavedNamespace } from "../namespaces/catalog.ts";
import { PATTERNS } from "../namespaces/rules.ts";

const amount = z.int().min(0).default(0);
const texts = z.array(z.string());

/**
 * What a database keeps of a namespace beside its name and version. What is absent has its default:
 * an older Prism did not know it.
 */
const documentSchema = z.object({
  pattern: z.enum(PATTERNS),
  backend: z.string(),
  rules: z
    .object({
      limits: z
        .object({
          maxRps: amount,
          burst: amount,
          maxInBytesPerSecond: amount,
          maxConcurrentCalls: amount,
          maxValueBytes: amount,
          maxEntries: amount,
        })
        .prefault({}),
      ttl: z
        .object({
          defaultSeconds: amount,
          minSeconds: amount,
          maxSeconds: amount,
          forbidden: z.boolean().default(false),
        })
        .prefault({}),
      timeseries: z
        .object({ retentionDays: amount, lateEvents: z.enum(["accept", "refuse"]).default("accept") })
        .prefault({}),
      access: z
        .object({
          owners: z.array(z.object({ team: z.string(), role: z.string() })),
          consumers: z.array(
            z
              .object({
                servicePattern: z.string(),
                permissions: texts,
                keyPrefix: z.string(),
                methods: texts.optional(),
              })
              .transform(({ methods, ...consumer }) => ({ ...consumer, methods })),
          ),
        })
        .default({ owners: [], consumers: [] }),
    })
    .prefault({}),
  wishes: z
    .object({
      readRps: amount,
      writeRps: amount,
      dataSizeGb: amount,
      retentionDays: amount,
      consistency: z.string().default(""),
      cacheEnabled: z.boolean().default(false),
      cacheTtlSeconds: amount,
    })
    .prefault({}),
  createdAtMs: z.number(),
  deleting: z.boolean(),
});

/** A namespace as JSON, without its name and version. */
export function writeDocument({ name: _, version: __, ...document }: SavedNamespace): string {
  return JSON.stringify(document);
}

/** The namespace of a row. Throws {@link PrismError} `corrupt_data` if Prism did not write it. */
export function readDocument(name: string, version: number, text: string): SavedNamespace {
  try {
    return { name, ...documentSchema.parse(JSON.parse(text)), version };
  } catch (cause) {
    throw new PrismError("corrupt_data", `what the catalog keeps of namespace "${name}" cannot be read`, {
      cause,
    });
  }
}
