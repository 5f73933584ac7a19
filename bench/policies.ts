/** What do tokens, quotas, metrics and traces together take from a Get? */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AUDIENCE, createSigningKey, ISSUER } from "../tests/helpers/tokens.ts";
import { contender, fill, grpcGet, jsonGet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 15;

if (!hasH2load()) {
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), "prism-bench-"));
const jwks_file = join(folder, "keys.json");
const signing = await createSigningKey("first", "RS256");
writeFileSync(jwks_file, JSON.stringify({ keys: [signing.jwk] }));
const authorization = `Bearer ${await signing.sign("alice")}`;

const quota = { max_rps: 1e8, burst: 1e8, max_in_bytes_per_second: 1e12, max_concurrent_calls: 1e6 };
await using off = await startPrism({ more: { metrics: { enabled: false } } });
await using on = await startPrism({
  namespaces: [{ name: "default", limits: quota }],
  more: {
    auth: {
      jwt: [{ issuer: ISSUER, audience: AUDIENCE, algorithms: ["RS256"], jwks_file }],
      roles: [
        { name: "all", callers: ["alice"], grants: [{ namespaces: "*", permissions: ["read", "write"] }] },
      ],
    },
    quotas: { default: quota },
    // Nobody is there: the spans are made, encoded and lost.
    tracing: { endpoint: "http://127.0.0.1:9", ratio: 0.01 },
  },
});
await fill(off);
await fill(on, authorization);
for (const [title, call, shape] of [
  ["gRPC Get, 64 in flight as 4 x 16", grpcGet("small"), { connections: 4, streams: 16 }],
  ["JSON Get over HTTP/1.1, 64 connections", jsonGet("small"), { connections: 64, streams: 1 }],
] as const) {
  // The token is sent to both: reading it is the wire's work.
  const made = {
    "no policies": await contender(off, { ...call, authorization }, shape),
    "all policies": await contender(on, { ...call, authorization }, shape),
  };
  const runs = await interleaved(made, ROUNDS);
  report(title, partsOfFirst(runs, "calls/s"), runs);
}
writeReport("policies");
rmSync(folder, { recursive: true });
