/** What does a quota cost a call, what a refusal, and who feels a namespace beyond its quota? */
import { create, toBinary } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createCall } from "../server/backend/contract.ts";
import { readMethod } from "../server/calls/methods.ts";
import { PolicyChain } from "../server/calls/policies/policy.ts";
import { createQuotaPolicy } from "../server/calls/policies/quota.ts";
import { CallRecord } from "../server/calls/record.ts";
import { toConnectError } from "../server/calls/status.ts";
import { asPrismError } from "../server/errors.ts";
import type { Namespace } from "../server/namespaces/live-namespace.ts";
import { type CallLimits, NO_RULES } from "../server/namespaces/rules.ts";
import { envelope, GRPC, pathOf } from "./harness/calls.ts";
import { hasH2load, pacedH2load } from "./harness/h2load.ts";
import { quantile } from "./harness/open-loop.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, partsOfFirst, report, rounded, writeReport } from "./harness/report.ts";

const { get } = KeyValueBasicInterface.method;
const ROW = readMethod(get, 0);
const CALL = createCall();
const SOURCE = { header: () => undefined, socket: {} };
const REQUEST = { namespace: "orders" };
const PRINCIPAL = { name: "user-api.prod.eu", grants: [] };
const CALLS = 200_000;
/** The calls that one read of a connection brings. */
const TOGETHER = 16;

const limits = (given: Partial<CallLimits>) => ({ ...NO_RULES.limits, ...given });

/**
 * Calls through the policy of a gateway with a thousand namespaces. Answers the nanoseconds of
 * processor that each took.
 */
function cost(orders: Partial<CallLimits>, caller: Partial<CallLimits>, hasPolicy = true) {
  const namespaces = new Map<string, Namespace>();
  for (let i = 0; i < 1000; i++) {
    namespaces.set(`n${i}`, { name: `n${i}`, backend: undefined as never, backendName: "", rules: NO_RULES });
  }
  const rules = { ...NO_RULES, limits: limits(orders) };
  namespaces.set("orders", { name: "orders", backend: undefined as never, backendName: "", rules });
  const policy = createQuotaPolicy({
    find: (name) => namespaces.get(name),
    callers: { default: limits(caller), principals: [], byAddress: false },
  });
  const chain = new PolicyChain(ROW, hasPolicy ? [policy] : [], console.error);
  return async () => {
    const from = process.cpuUsage();
    for (let i = 0; i < CALLS; i++) {
      const record = new CallRecord(ROW, "id", SOURCE);
      record.principal = PRINCIPAL;
      record.requestBytes = 40;
      record.enter(REQUEST);
      try {
        chain.begin(record, CALL);
        chain.finish(record, undefined);
      } catch (error) {
        const refusal = asPrismError(error);
        chain.finish(record, refusal);
        toConnectError(refusal, record);
      }
      if (i % TOGETHER === 0) {
        await undefined;
      }
    }
    const { user, system } = process.cpuUsage(from);
    return ((user + system) * 1000) / CALLS;
  };
}

const MUCH = { maxRps: 100_000_000, maxInBytesPerSecond: 1e12, maxConcurrentCalls: 100 };
const costs = await interleaved(
  {
    "no policy": cost({}, {}, false),
    "no limits": cost({}, {}),
    "limits of the namespace": cost(MUCH, {}),
    "limits of namespace and caller": cost(MUCH, MUCH),
    "a refused call": cost({ maxRps: 1 }, {}),
  },
  7,
);
report("A call through the quota policy", partsOfFirst(costs, "ns of processor"), costs);

if (!hasH2load()) {
  process.exit(1);
}
const SECONDS = 3;
const ROUNDS = 5;
const QUOTA = 1_000;

// A missing key is an answer of the same size as a refusal, so both loads are read alike.
await using prism = await startPrism({
  namespaces: [{ name: "noisy", limits: { max_rps: QUOTA } }, { name: "quiet" }],
});
function load(namespace: string, callsPerSecond: number): Promise<Float64Array> {
  const body = envelope(toBinary(get.input, create(get.input, { namespace, key: "k" })));
  const call = { port: prism.port, path: pathOf(get), contentType: GRPC, body };
  // So many may be in flight that the rate holds, whatever the server does.
  const shape = { connections: 8, streams: 100, calls: callsPerSecond * SECONDS };
  return pacedH2load({ ...call, ...shape }, callsPerSecond);
}
async function quietP99(noisyPerSecond: number): Promise<number> {
  const [quiet] = await Promise.all([load("quiet", QUOTA), load("noisy", noisyPerSecond)]);
  return quantile(quiet, 0.99);
}
await quietP99(10 * QUOTA);
const fair = await interleaved(
  {
    "the other at its quota": () => quietP99(QUOTA),
    "the other at ten times its quota": () => quietP99(10 * QUOTA),
  },
  ROUNDS,
);
report(`p99 of a namespace at ${QUOTA} calls/s beside another`, partsOfFirst(fair, "ms"), fair);
const [at = Number.NaN, beyond = Number.NaN] = Object.values(fair).map(median);
console.log(`the p99 moves by ${rounded((beyond / at - 1) * 100)}%`);
writeReport("quota");
