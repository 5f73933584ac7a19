import { pino } from "pino";
import { createApp } from "./app.ts";
import { loadConfig } from "./config/load.ts";
import { LINE_FORMAT } from "./log.ts";

/** What a {@link TestServer} is to be. */
export interface TestServerOptions {
  /**
   * Settings as a configuration file has them, for example `{ namespaces: [{ name: "orders" }] }`.
   * Absent: the file's defaults, with the store in memory. It cannot say where the gateway listens.
   */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  /** Gets each line of the log, JSON without a line feed. Absent: nobody does. */
  readonly log?: ((line: string) => void) | undefined;
}

/** A gateway in this process. */
export interface TestServer extends AsyncDisposable {
  /** `127.0.0.1:PORT`, for a client in Node and for gRPC. */
  readonly address: string;
  /** `http://127.0.0.1:PORT`, for `fetch` and the browser's client; https where it has TLS. */
  readonly baseUrl: string;
  /** Ends calls and connections. Nothing of the gateway is left then, its data neither. */
  close(): Promise<void>;
}

/**
 * Starts a whole gateway for tests: in this process, on free ports of loopback, with its data in
 * memory. Nobody has to install or stop anything else.
 *
 * ```ts
 * await using server = await startTestServer();
 * await using client = new PrismClient(server.address);
 * ```
 *
 * Throws an Error that names each setting that is wrong.
 */
export async function startTestServer({
  config: given,
  log: write,
}: TestServerOptions = {}): Promise<TestServer> {
  const settings = { database: { type: "memory" }, ...given };
  const config = loadConfig({
    file: "config",
    text: JSON.stringify(settings),
    env: {},
    flags: { listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" },
    cwd: process.cwd(),
  });
  const log =
    write === undefined
      ? pino({ level: "silent" })
      : pino(
          { ...LINE_FORMAT, level: config.logging.level, base: null },
          { write: (line: string) => write(line.trimEnd()) },
        );
  // A test that is over waits for no call.
  const app = await createApp({ ...config, server: { ...config.server, shutdownGraceMs: 0 } }, { log });
  const { data } = await app.start();
  const address = `127.0.0.1:${data.port}`;
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= app.stop());
  return {
    address,
    baseUrl: `${config.server.tls === undefined ? "http" : "https"}://${address}`,
    close,
    [Symbol.asyncDispose]: close,
  };
}
