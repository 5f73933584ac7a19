/**
 * How fast does a whole scan of 1,000,000 entries of 100 bytes arrive, over gRPC, one at a time?
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "../client/node.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { h2load, hasH2load } from "./harness/h2load.ts";
import { startOther, startPrism } from "./harness/peers.ts";
import type { Peer } from "./harness/process.ts";
import { compared, interleaved, report, writeReport } from "./harness/report.ts";

const ENTRIES = 1_000_000;
const ROUNDS = 5;

if (!hasH2load()) {
  process.exit(1);
}

/** Sets as many entries as the other servers' scans have. */
async function fill({ port }: Peer, entries: number): Promise<void> {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  const client = createClient(KeyValueBasicInterface, transport);
  const value = Buffer.alloc(100, "v");
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < entries; i = next++) {
      await client.set({ key: `key:${String(i).padStart(9, "0")}`, value });
    }
  };
  await Promise.all(Array.from({ length: 256 }, lane));
  transport.close();
}

const { scan } = KeyValueScanInterface.method;
const request = toBinary(scan.input, create(scan.input));
const head = Buffer.alloc(5);
head.writeUInt32BE(request.length, 1);

/** The entries a second of one scan. */
function scanner({ port }: Peer, entries: number): () => Promise<number> {
  return async () => {
    const scansPerSecond = await h2load({
      port,
      path: `/${scan.parent.typeName}/${scan.name}`,
      contentType: "application/grpc+proto",
      body: Buffer.concat([head, request]),
      connections: 1,
      streams: 1,
      calls: 1,
    });
    return scansPerSecond * entries;
  };
}

await using prism = await startPrism();
await using prismNode = await startPrism({ http2: "node" });
// A tenth for servers that would take minutes; their speed does not depend on the number.
const tenth = { SCAN_ENTRIES: String(ENTRIES / 10) };
await using grpcJs = await startOther("grpc-js", [], tenth);
await using connectFastify = await startOther("connect-fastify", ["http2"], tenth);
await fill(prism, ENTRIES);
await fill(prismNode, ENTRIES / 10);

const scanners = {
  Prism: scanner(prism, ENTRIES),
  "Prism on node:http2": scanner(prismNode, ENTRIES / 10),
  "@grpc/grpc-js, streaming the same": scanner(grpcJs, ENTRIES / 10),
  "stock connect-fastify, streaming the same": scanner(connectFastify, ENTRIES / 10),
};
// Once to warm up.
await interleaved(scanners, 1);
const runs = await interleaved(scanners, ROUNDS);
report(`Scan of ${ENTRIES} entries of 100 bytes over gRPC, one at a time`, compared(runs, "entries/s"), runs);
writeReport("scan");
