import { pino } from "pino";
import { type App, createApp } from "../../server/app.ts";
import type { Clock } from "../../server/backend/clock.ts";
import type { Config } from "../../server/config/config.ts";
import { loadConfig } from "../../server/config/load.ts";
import type { DeletionTimes } from "../../server/namespaces/deletion.ts";
import type { NamespaceRegistry } from "../../server/namespaces/registry.ts";

/**
 * A whole server in this process, on free ports of loopback. It has a memory store unless
 * configured otherwise.
 */
export interface TestServer extends AsyncDisposable {
  /** `127.0.0.1:PORT` of the data plane. */
  readonly address: string;
  readonly baseUrl: string;
  /** `http://127.0.0.1:PORT` of the admin plane; https if it has TLS. */
  readonly adminUrl: string;
  /** Its namespaces. */
  readonly registry: NamespaceRegistry;
  /** Puts another configuration in force. */
  readonly apply: App["apply"];
  /** Every log line so far, parsed, but those of the audit log. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  /** The lines of the audit log, unless it has a file. */
  readonly audited: readonly Readonly<Record<string, unknown>>[];
  /** As SIGHUP does. */
  reopenAudit(): void;
  stop(): Promise<void>;
}

/** The options of a {@link TestServer}. */
export interface TestServerOptions {
  /** Changes the default configuration, with which both ports answer to any host. */
  readonly adjust?: (config: Config) => Config;
  /** In place of the system's. */
  readonly clock?: Clock;
  /** How long the steps of deleting a namespace take. */
  readonly deletionTimes?: DeletionTimes;
  /** At "debug" (the default) every call has a line. */
  readonly logLevel?: "debug" | "info";
  /** False leaves every call to Connect's own handlers. Absent = as `make test-paths` says. */
  readonly directPath?: boolean;
}

/** Starts a server. */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  const { adjust = (config) => config, clock, deletionTimes, logLevel = "debug" } = options;
  const flags = { memory: true, listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" };
  const defaults = loadConfig({ env: {}, flags, cwd: process.cwd() });
  // `make test-paths` also runs the protocol tests on node:http2 and without the direct path; both
  // must pass.
  const http2 = process.env.PRISM_TEST_HTTP2 === "node" ? "node" : "engine";
  const config = adjust({
    ...defaults,
    server: { ...defaults.server, http2, hosts: "*" },
    admin: { ...defaults.admin, hosts: "*" },
  });
  const lines: Record<string, unknown>[] = [];
  const audited: Record<string, unknown>[] = [];
  const write = (text: string) => {
    const line = JSON.parse(text);
    (line.audit === true ? audited : lines).push(line);
  };
  const log = pino({ level: logLevel }, { write });
  const { directPath = process.env.PRISM_TEST_PATH !== "connect" } = options;
  const app = await createApp(config, {
    log,
    directPath,
    ...(clock && { clock }),
    ...(deletionTimes && { deletionTimes }),
  });
  const { data, admin } = await app.start();
  const address = `127.0.0.1:${data.port}`;
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= app.stop());
  return {
    address,
    baseUrl: `${config.server.tls === undefined ? "http" : "https"}://${address}`,
    adminUrl: `${config.admin.tls === undefined ? "http" : "https"}://127.0.0.1:${admin?.port}`,
    registry: app.registry,
    apply: app.apply,
    log: lines,
    audited,
    reopenAudit: app.reopenAudit,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
