import { fastify } from "fastify";
import { expect, test } from "vitest";
import { createSystemClock } from "./backend/clock.ts";
import { createMemoryBackend } from "./backend/memory/backend.ts";
import { addHealthRoutes } from "./health-route.ts";
import { NamespaceRegistry } from "./namespaces/registry.ts";
import { createStoreMonitor } from "./namespaces/store-monitor.ts";
import { createHealthState } from "./services/health.ts";

test.each(["health", "readyz"])("GET /%s asks a store once for all namespaces on it", async (path) => {
  let questions = 0;
  const store = {
    ...createMemoryBackend({ type: "memory" }, { clock: createSystemClock() }),
    async check() {
      questions++;
    },
  };
  const registry = new NamespaceRegistry(() => {});
  const source = { name: "database", open: async () => store };
  const names = ["default", "orders", "sessions"];
  await registry.add(names.map((name) => ({ name, source })));
  const health = createHealthState([]);
  health.set(true);
  const monitor = createStoreMonitor(() => []);
  const app = fastify();
  const access = { principalOf: () => undefined, mayView: () => true };
  addHealthRoutes(app, { registry, health, monitor, access, workers: undefined });

  const { statusCode, body } = await app.inject(`/${path}?verbose`);
  expect(statusCode).toBe(200);
  expect(names.every((name) => body.includes(name))).toBe(true);
  expect(questions).toBe(1);

  monitor.close();
  await app.close();
  await registry.close();
});
