import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{http2,server,client,tests}/**/*.test.ts"],
    // Compiles everything once more: `make test-build`.
    exclude: process.env.PRISM_TEST_BUILD === undefined ? ["tests/build.test.ts"] : [],
    // No test leaves anything behind in its process, so modules need not be loaded again for each file.
    isolate: false,
    globalSetup: "tests/helpers/report-missing.ts",
    maxWorkers: 2,
    // Bounds for what hangs: a busy machine takes many times what a quiet one does.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
    coverage: {
      provider: "v8",
      include: ["http2/**/*.ts", "server/**/*.ts", "client/**/*.ts"],
      // The thread's few lines run in a worker, which the coverage of V8 does not follow.
      exclude: [
        "**/*.test.ts",
        "http2/testing.ts",
        "http2/h2spec-server.ts",
        "client/transport/testing.ts",
        "client/manifest.ts",
        "server/backend/conformance/**",
        "server/backend/sqlite/writer.ts",
      ],
      reporter: ["text-summary", "json-summary"],
      thresholds: { lines: 90 },
    },
  },
});
