import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isThere, runLoad } from "./process.ts";

/** nghttp2's load generator: so fast that no server here waits for it. */
export interface Load {
  readonly port: number;
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly streams: number;
  readonly calls: number;
  /** HTTP/1.1 in place of HTTP/2. */
  readonly http1?: boolean;
}

/** Whether h2load is there; if not, says how to get it. */
export function hasH2load(): boolean {
  return isThere("h2load", "nghttp2-client");
}

/** Makes the calls; answers how many a second there were. Throws where one failed. */
export async function h2load(load: Load): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const file = join(folder, "body");
  writeFileSync(file, load.body);
  try {
    const said = await runLoad("h2load", [
      ...(load.http1 === true ? ["--h1"] : []),
      ...["-n", String(load.calls), "-c", String(load.connections), "-m", String(load.streams)],
      // Windows of 16 MiB: that of 64 KiB would be measured, and not the server.
      ...["-w", "24", "-W", "24"],
      ...["-H", `content-type: ${load.contentType}`, "-H", "te: trailers", "-d", file],
      `http://127.0.0.1:${load.port}${load.path}`,
    ]);
    const [, seconds, unit] = /finished in ([\d.]+)(m?s|us),/.exec(said) ?? [];
    const [, ok] = /status codes: (\d+) 2xx/.exec(said) ?? [];
    if (seconds === undefined || Number(ok) !== load.calls) {
      throw new Error(`not every call went well: ${said}`);
    }
    const scale = { s: 1, ms: 1e-3, us: 1e-6 }[unit ?? "s"] ?? 1;
    return load.calls / (Number(seconds) * scale);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
