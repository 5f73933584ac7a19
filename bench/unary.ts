/** How many unary calls a second does one core answer, beside other servers? */
import {
  type BenchCall,
  contender,
  fill,
  grpcGet,
  grpcSet,
  jsonGet,
  type Shape,
  VALUE_BYTES,
  type ValueSize,
} from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startOther, startPrism, startRedis } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import { hasRedis, redisContender } from "./harness/redis.ts";
import { compared, interleaved, report, writeReport } from "./harness/report.ts";

const ROUNDS = 5;

if (!hasH2load()) {
  process.exit(1);
}
await using prism = await startPrism();
await using prismNode = await startPrism({ http2: "node" });
await using grpcJs = await startOther("grpc-js");
await using connectHttp2 = await startOther("connect-fastify", ["http2"]);
await using connectHttp1 = await startOther("connect-fastify", ["http1"]);
await using nodeHttp2 = await startOther("node-http2");
await using fastifyJson = await startOther("fastify-json");
await using redis = hasRedis() ? await startRedis() : undefined;
await fill(prism);
await fill(prismNode);

const OVER_GRPC: Readonly<Record<string, Peer>> = {
  Prism: prism,
  "Prism on node:http2": prismNode,
  "@grpc/grpc-js with a Map": grpcJs,
  "stock connect-fastify with a Map": connectHttp2,
};

type Contenders = Record<string, () => Promise<number>>;

async function contenders(peers: Readonly<Record<string, Peer>>, call: BenchCall, shape: Shape) {
  const made: Contenders = {};
  for (const [name, peer] of Object.entries(peers)) {
    made[name] = await contender(peer, call, shape);
  }
  return made;
}

async function ask(question: string, made: Contenders): Promise<void> {
  const runs = await interleaved(made, ROUNDS);
  report(question, compared(runs, "calls/s"), runs);
}

async function askGrpc(name: "Get" | "Set", size: ValueSize, shape: Shape): Promise<void> {
  const { connections, streams } = shape;
  const made = await contenders(OVER_GRPC, name === "Get" ? grpcGet(size) : grpcSet(size), shape);
  if (name === "Get" && size === "small") {
    made["node:http2, constant answer"] = await contender(nodeHttp2, grpcGet(size), shape);
  }
  if (redis !== undefined && streams === 1) {
    const command = name === "Get" ? "get" : "set";
    made["Redis, its own protocol"] = await redisContender(redis, command, connections, VALUE_BYTES[size]);
  }
  const inFlight = `${connections * streams} in flight as ${connections} x ${streams}`;
  await ask(`gRPC ${name}, ${VALUE_BYTES[size]} bytes, ${inFlight}`, made);
}

await askGrpc("Get", "small", { connections: 4, streams: 16 });
await askGrpc("Set", "small", { connections: 4, streams: 16 });
await askGrpc("Get", "small", { connections: 64, streams: 1 });
await askGrpc("Set", "small", { connections: 64, streams: 1 });
await askGrpc("Get", "small", { connections: 1, streams: 1 });
await askGrpc("Get", "small", { connections: 1, streams: 16 });
await askGrpc("Get", "small", { connections: 4, streams: 64 });
await askGrpc("Get", "large", { connections: 4, streams: 16 });
await askGrpc("Set", "large", { connections: 4, streams: 16 });

const OVER_HTTP1 = {
  Prism: prism,
  "bare Fastify JSON route": fastifyJson,
  "stock connect-fastify with a Map": connectHttp1,
};
await ask(
  "Connect JSON Get over HTTP/1.1, 100 bytes, 64 connections",
  await contenders(OVER_HTTP1, jsonGet("small"), { connections: 64, streams: 1 }),
);
writeReport("unary");
