/** What does it cost a call to find out who calls and what it may do? */
import { pino } from "pino";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { HeaderList } from "../http2/header-list.ts";
import { CredentialAuthenticator } from "../server/auth/authenticator.ts";
import { readMethod } from "../server/calls/methods.ts";
import { createAuthPolicy } from "../server/calls/policies/auth.ts";
import { CallRecord } from "../server/calls/record.ts";
import { CallScope } from "../server/calls/scope.ts";
import type { Namespace } from "../server/namespaces/live-namespace.ts";
import { NO_RULES } from "../server/namespaces/rules.ts";
import {
  authSettings,
  createKey,
  createSigningKey,
  issuerAt,
  role,
  startKeyServer,
} from "../tests/helpers/tokens.ts";
import { pinThisProcess } from "./harness/process.ts";
import { interleaved, median, type Runs, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 7;
const CALLS = 2_000_000;

pinThisProcess();
const GET = readMethod(KeyValueBasicInterface.method.get, 0);
const signing = await createSigningKey("first", "RS256");
await using keys = await startKeyServer([signing.jwk]);
const apiKey = createKey("user-api", ["orders"]);
const auth = new CredentialAuthenticator(
  authSettings({
    apiKeys: [apiKey.settings],
    jwt: [issuerAt(keys.url, { algorithms: ["RS256"] })],
    roles: ["orders", "carts", "logs"].map((name) =>
      role(name, {
        grants: [{ namespaces: name, permissions: ["read", "write"], keyPrefix: "", methods: undefined }],
        callers: ["alice"],
      }),
    ),
  }),
  pino({ level: "silent" }),
);
await auth.start();

const namespaces = new Map(["orders", "carts"].map((name) => [name, { name, rules: NO_RULES }]));
const hooks = createAuthPolicy({
  authenticator: auth,
  namespaces: { find: (name) => namespaces.get(name) as Namespace | undefined },
  plane: "data",
}).on(GET);
const request = { namespace: "orders", key: "key:000000001" };

/** The headers of a gRPC call, as the engine has them. */
function headersWith(authorization: string): HeaderList {
  const headers = new HeaderList();
  const fields = { "content-type": "application/grpc", te: "trailers", "user-agent": "grpc-node-js/1.14.7" };
  headers.fields.push(...Object.entries(fields).flat(), "accept-encoding", "identity");
  headers.fields.push("authorization", authorization);
  return headers;
}

/** Nanoseconds of this process's CPU a call. `begins` = with the policy. */
function cost(authorization: string, begins: boolean): () => Promise<number> {
  const headers = headersWith(authorization);
  const source = { header: (name: string) => headers.get(name), socket: {} };
  const call = new CallScope(0);
  return async () => {
    // The first call with a token waits, and later ones do not.
    await auth.authenticate(source);
    const before = process.cpuUsage();
    for (let i = 0; i < CALLS; i++) {
      const record = new CallRecord(GET, "id", source);
      record.enter(request);
      if (begins && hooks?.begin?.(record, call) !== undefined) {
        throw new Error("the token is not known");
      }
    }
    const { user, system } = process.cpuUsage(before);
    return ((user + system) / CALLS) * 1e3;
  };
}

const token = `Bearer ${await signing.sign("alice", { scope: "openid profile email", email: "a@example.com" })}`;
const contenders = {
  "the record of a call alone": cost(token, false),
  "an API key": cost(apiKey.bearer, true),
  "a token (RS256)": cost(token, true),
};
await interleaved(contenders, 1);
const runs: Runs = await interleaved(contenders, ROUNDS);
const alone = median(runs["the record of a call alone"] ?? []);
const table = Object.fromEntries(
  Object.entries(runs).map(([name, values]) => [
    name,
    { "ns a call": rounded(median(values)), more: rounded(median(values) - alone), spread: spread(values) },
  ]),
);
report("who calls, and may it", table, runs);
auth.close();
writeReport("auth");
