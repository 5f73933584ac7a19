// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "./load.ts";
import type { Env } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-tracing-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function load(yaml: string, env: Env = {}) {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  return loadConfig({ file: "prism.yaml", env, flags: {}, cwd: folder }).tracing;
}

test("nothing is traced unless there is a collector", () => {
  expect(load("")).toEqual({
    headers: {},
    ratio: 0.01,
    tail: { errors: false, slowerThanMs: 0 },
    serviceName: "prism",
    resource: {},
  });
});

test("a file can set everything, with secrets from the environment", () => {
  const yaml = `
tracing:
  endpoint: https://collector.example:4318/otlp/
  headers: {authorization: "Bearer \${TOKEN}"}
  ratio: 1
  tail: {errors: true, slower_than_ms: 250}
  service_name: orders
  resource: {deployment.environment.name: prod}
`;
  expect(load(yaml, { TOKEN: "t0ken" })).toEqual({
    endpoint: "https://collector.example:4318/otlp/v1/traces",
    headers: { authorization: "Bearer t0ken" },
    ratio: 1,
    tail: { errors: true, slowerThanMs: 250 },
    serviceName: "orders",
    resource: { "deployment.environment.name": "prod" },
  });
});

test("OpenTelemetry's variables are understood", () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://localhost:4318",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20t0ken, x-tenant = acme",
    OTEL_SERVICE_NAME: "orders",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=prod,team=a%3Db",
    OTEL_TRACES_SAMPLER_ARG: "0.25",
  };
  expect(load("", env)).toMatchObject({
    endpoint: "http://localhost:4318/v1/traces",
    headers: { authorization: "Bearer t0ken", "x-tenant": "acme" },
    ratio: 0.25,
    serviceName: "orders",
    resource: { "deployment.environment.name": "prod", team: "a=b" },
  });
});

test("a whole path stays", () => {
  expect(load("tracing: {endpoint: 'http://c:4318/v1/traces'}").endpoint).toBe("http://c:4318/v1/traces");
});

test.each<[string, Env, string]>([
  ["tracing: {endpoint: 'localhost:4318'}", {}, 'expected "http://host:port"'],
  ["tracing: {endpoint: 'http://user:s3cret@c'}", {}, "secrets go in headers"],
  ["tracing: {ratio: 1.5}", {}, "tracing.ratio"],
  ["tracing: {headers: {'not a name': x}}", {}, "expected the name of a header"],
  ["", { OTEL_TRACES_SAMPLER_ARG: "often" }, "OTEL_TRACES_SAMPLER_ARG: expected a number from 0 to 1"],
  ["", { OTEL_TRACES_SAMPLER_ARG: "1.01" }, "expected a number from 0 to 1"],
  ["", { OTEL_RESOURCE_ATTRIBUTES: "prod" }, 'expected "name=value,name=value"'],
  ["", { OTEL_EXPORTER_OTLP_HEADERS: "a=%zz" }, 'expected "name=value,name=value"'],
])("%s is refused", (yaml, env, message) => {
  expect(() => load(yaml, env)).toThrow(message);
});
