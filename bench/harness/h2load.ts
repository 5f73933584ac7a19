import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Core, isThere, runLoad } from "./process.ts";

/** Settings for nghttp2's load generator, which is so fast that no server here waits for it. */
export interface Load {
  readonly port: number;
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly streams: number;
  readonly calls: number;
  /** True: HTTP/1.1 instead of HTTP/2. */
  readonly http1?: boolean;
  /** The value of the header of that name. Absent = there is none. */
  readonly authorization?: string | undefined;
  /** Where h2load runs. Absent = on the load's core. */
  readonly core?: Core | undefined;
}

/** Whether h2load is there; prints how to get it if not. */
export function hasH2load(): boolean {
  return isThere("h2load", "nghttp2-client");
}

/** Makes the calls and answers the calls a second. Throws if a call failed. */
export async function h2load(load: Load): Promise<number> {
  return await inFolder(async (folder) => {
    const said = await run(load, folder, []);
    const [, seconds, unit] = /finished in ([\d.]+)(m?s|us),/.exec(said) ?? [];
    if (seconds === undefined) {
      throw new Error(`it is not told how long it took: ${said}`);
    }
    const scale = { s: 1, ms: 1e-3, us: 1e-6 }[unit ?? "s"] ?? 1;
    return load.calls / (Number(seconds) * scale);
  });
}

/**
 * Makes the calls at a fixed rate and answers how long each took, in milliseconds, ascending. What
 * is timed is from when it was sent. Throws if a call failed, but not for what gRPC says of it.
 */
export async function pacedH2load(load: Load, callsPerSecond: number): Promise<Float64Array> {
  return await inFolder(async (folder) => {
    const log = join(folder, "log");
    await run(load, folder, [`--rps=${callsPerSecond / load.connections}`, `--log-file=${log}`]);
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    // Start, HTTP status, microseconds until the end of the answer.
    return Float64Array.from(lines, (line) => Number(line.split("\t")[2]) / 1000).sort();
  });
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "prism-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function run(load: Load, folder: string, more: readonly string[]): Promise<string> {
  const file = join(folder, "body");
  writeFileSync(file, load.body);
  const { authorization, core } = load;
  const options = [
    ...(load.http1 === true ? ["--h1"] : []),
    ...["-n", String(load.calls), "-c", String(load.connections), "-m", String(load.streams)],
    // Windows of 16 MiB: with 64 KiB the window would be measured, and not the server.
    ...["-w", "24", "-W", "24"],
    ...["-H", `content-type: ${load.contentType}`, "-H", "te: trailers", "-d", file],
    ...(authorization === undefined ? [] : ["-H", `authorization: ${authorization}`]),
    ...more,
    `http://127.0.0.1:${load.port}${load.path}`,
  ];
  const said = await runLoad("h2load", options, core);
  const [, ok] = /status codes: (\d+) 2xx/.exec(said) ?? [];
  if (Number(ok) !== load.calls) {
    throw new Error(`not every call went well: ${said}`);
  }
  return said;
}
