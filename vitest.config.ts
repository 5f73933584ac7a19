import { defineConfig } from "vitest/config";

/** Compiles everything once more: `make test-build`. */
const BUILD = ["tests/build.test.ts"];

/** What `make test-quick` leaves out. What is new is in it until it takes long. */
const SLOW = [
  // Real PostgreSQL, PgBouncer, Redis and Kafka.
  "server/backend/{kafka,postgres,redis}/**",
  "server/catalog/postgres.test.ts",
  "tests/helpers/**",
  "tests/list-differential.test.ts",
  "tests/protocol/conformance-{postgres,redis}.test.ts",
  // The suite of stores, over each wire and store once more: gRPC and memory stay.
  "tests/protocol/conformance-{connect,sqlite}.test.ts",
  // Real browsers and proxies, clients in other languages.
  "tests/console/**",
  "tests/protocol/{browser,interop,interop-tools}.test.ts",
  // Whole processes that are started and killed, and a disk that is full.
  "tests/documents/documents.test.ts",
  "tests/{away,backup,console-snippets,copies,commit-crash,crash,deploy,examples,namespaces,shutdown,systemd,workers}.test.ts",
  "client/node.test.ts",
  "server/{log,main}.test.ts",
  "server/command/*.test.ts",
  "server/doctor.test.ts",
  "server/port/port.test.ts",
  "tests/protocol/log.test.ts",
  "server/backend/remote/{faults,proxy}.test.ts",
  "server/backend/sqlite/{faults,full-disk,log-size}.test.ts",
  // Attacks and floods.
  "tests/floods.test.ts",
  "tests/protocol/{costly-requests,receiving,unread}.test.ts",
  // Real clients and servers of gRPC, at each end of Prism's transport.
  "client/transport/transport.test.ts",
  // Thousands of random cases.
  "server/backend/memory/entry-table.test.ts",
  "http2/fuzz.test.ts",
  "server/namespaces/load.test.ts",
];

export default defineConfig({
  test: {
    include: ["{http2,server,client,tests,docs}/**/*.test.ts"],
    exclude: [
      ...(process.env.PRISM_TEST_BUILD === undefined ? BUILD : []),
      ...(process.env.PRISM_TEST_QUICK === undefined ? [] : SLOW),
    ],
    // No test leaves anything behind in its process, so no file loads the modules again.
    isolate: false,
    globalSetup: "tests/helpers/report-missing.ts",
    setupFiles: "tests/helpers/own-clock.ts",
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
        // It runs in a browser; what can run without one is in its data/.
        "client/console/*.ts",
        "client/console/{parts,views}/**",
        "server/backend/conformance/**",
        "server/catalog/suite.ts",
        "server/backend/sqlite/writer.ts",
      ],
      reporter: ["text-summary", "json-summary"],
      thresholds: { lines: 90 },
    },
  },
});
