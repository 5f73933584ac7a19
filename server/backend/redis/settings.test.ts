/** Servers with other settings, or wrong ones: passwords, TLS, too little memory, a replica. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { CERT, KEY } from "../../../tests/helpers/certificate.ts";
import { freePort, freePorts } from "../../../tests/helpers/port.ts";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { askRedis, canStartRedis, startRedis } from "../../../tests/helpers/redis.ts";
import { startTestServer } from "../../../tests/helpers/server.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { ReadOnlyError, StartError } from "../../errors.ts";
import { blockingPop, pushTexts } from "../conformance/blocking.ts";
import {
  add,
  change,
  changeIf,
  commitOne,
  committed,
  expire,
  persist,
  readHeld,
  readTexts,
  remove,
  set,
} from "../conformance/commit-steps.ts";
import { answersOf, bytes, CALL, NAMESPACE, present, setTexts, texts } from "../conformance/harness.ts";
import { item, put } from "../conformance/record-values.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { createBackend } from "../factory.ts";
import { createBreakerBackend } from "../layers/breaker.ts";
import { createRedisShards } from "./backend.ts";
import { type RedisConfig, redisSchema } from "./config.ts";
import { shardKeys } from "./keys.ts";
import { COMMANDS } from "./scripts.ts";

const configOf = (url: string, more: object = {}): RedisConfig =>
  redisSchema.parse({ type: "redis", url, connect_timeout_ms: 1000, ...more });

/** Why a store does not open. */
const openErrorOf = (config: RedisConfig) =>
  createBackend(config)
    .then((backend) => backend.open())
    .then(
      () => undefined,
      (error: unknown) => error,
    );

describe.runIf(canStartRedis())("redis", () => {
  const { open } = useGateways();

  test("a server that is away at the start is found when it comes", async () => {
    await using server = await startRedis();
    await server.kill();
    const [shard] = createRedisShards(configOf(server.url));
    const backend = createBreakerBackend(present(shard), 100);
    await backend.open();
    onTestFinished(() => backend.close());
    const set = () => setTexts(present(backend.entries), { a: "1" });
    await expect(set()).rejects.toMatchObject({ reason: "store_unavailable" });
    await server.start();
    await waitFor(set);
  });

  test("a password that is missing or wrong is an error at once, which does not tell it", async () => {
    await using server = await startRedis({ args: ["--requirepass", "right"] });
    const withPassword = (password: string) => server.url.replace("//", `//:${password}@`);
    for (const url of [server.url, withPassword("s3cret")]) {
      const error = await openErrorOf(configOf(url));
      expect(error).toBeInstanceOf(StartError);
      expect(String(error)).toMatch(`PrismError: Redis at 127.0.0.1:${server.port}: `);
      expect(String(error)).toMatch(/NOAUTH|WRONGPASS/);
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("s3cret");
    }
    const { entries } = await open(configOf(withPassword("right")));
    await setTexts(entries, { a: "1" });
  });

  test("nor do a Cluster's errors tell it, at the start or later", async () => {
    await using server = await startRedis({
      args: [
        ...["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
        ...["--cluster-announce-ip", "127.0.0.1", "--requirepass", "s3cret"],
      ],
    });
    const ask = (password: string, ...[command, ...args]: readonly [string, ...string[]]) =>
      askRedis(server.url.replace("//", `//:${password}@`), command, ...args);
    const configWith = (password: string) =>
      redisSchema.parse({ type: "redis", cluster: [server.url.replace("//", `//:${password}@`)], shards: 1 });
    await ask("s3cret", "CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await waitFor(async () => expect(await ask("s3cret", "CLUSTER", "INFO")).toContain("cluster_state:ok"));
    const wrong = await openErrorOf(configWith("wr0ng"));
    expect(String(wrong)).toContain("WRONGPASS");
    expect(inspect(wrong, { depth: 9, showHidden: true })).not.toContain("wr0ng");

    const { entries, scans, lists, backend } = await open(configWith("s3cret"));
    await setTexts(entries, { k: "v" });
    await ask("s3cret", "CONFIG", "SET", "requirepass", "other");
    await ask("other", "CLIENT", "KILL", "TYPE", "normal");
    const push = { key: "l", end: "left", value: Buffer.from("v") } as const;
    const calls = [
      () => entries.get("default", ["k"], CALL),
      () => setTexts(entries, { k: "v" }),
      () => scans.count("default", "", CALL),
      () => lists.push("default", [push], CALL),
      () => backend.check(),
    ];
    const told: string[] = [];
    await waitFor(async () => {
      for (const call of calls) {
        const outcome = await call().catch((error: unknown) =>
          inspect(error, { depth: 9, showHidden: true }),
        );
        told.push(String(outcome));
      }
      expect(told.join().includes("WRONGPASS")).toBe(true);
    }, 100);
    expect(told.join().includes("s3cret")).toBe(false);
  });

  test("a user who may not run a command gets an error at once, which names the command", async () => {
    await using server = await startRedis();
    const grants = ["EVAL", "EVALSHA", "INFO", ...COMMANDS].map((command) => `+${command}`);
    const allow = (...rules: string[]) =>
      askRedis(server.url, "ACL", "SETUSER", "prism", "reset", "on", ">pass", "~{prism:*", ...rules);
    const config = configOf(server.url.replace("//", "//prism:pass@"), { shards: 2 });
    for (const command of COMMANDS) {
      await allow(...grants, `-${command}`);
      const error = await openErrorOf(config);
      expect(error).toBeInstanceOf(StartError);
      expect(String(error).toUpperCase()).toMatch(
        new RegExp(`MAY NOT RUN ${command}$|'${command}' COMMAND$`),
      );
    }
    await allow(...grants);
    const { backend, entries, scans, lists } = await open(config);
    const commits = present(backend.commits);
    await committed(commits, change(set("k", "1"), expire("k", 60_000)));
    await committed(commits, changeIf({ key: "k", is: "value", value: Buffer.from("1") }, persist("k")));
    await committed(commits, change(add("k", 1n), expire("k", 60_000)));
    await committed(commits, change(expire("k", 70_000)));
    const { version, ttlMs } = await readHeld(commits, "k");
    expect(ttlMs).toBeGreaterThan(60_000);
    await committed(commits, changeIf({ key: "k", is: "version", version }, remove("k")));
    await setTexts(entries, { a: "1", b: "2" }, { ttlMs: 60_000 });
    expect(texts(await entries.get("default", ["a", "b"], CALL))).toEqual(["1", "2"]);
    expect(await entries.exists("default", ["a", "c"], CALL)).toEqual([true, false]);
    const query = { prefix: "", after: undefined, maxEntries: 9, maxBytes: 1, keysOnly: false };
    expect((await scans.scanPage("default", query, CALL)).keys).toEqual(["a"]);
    expect(await entries.delete("default", ["a"], CALL)).toEqual([true]);
    expect(await scans.count("default", "", CALL)).toBe(1);
    for (const end of ["left", "right"] as const) {
      expect(await lists.push("default", [{ key: "l", end, value: Buffer.from("x") }], CALL)).toEqual([1]);
      expect(await lists.length("default", ["l"], CALL)).toEqual([1]);
      expect(texts(await lists.pop("default", [{ key: "l", end }], CALL))).toEqual(["x"]);
    }
    // Nobody may tell or listen, so those who wait look for themselves.
    const looks = blockingPop(backend, "l");
    await pushTexts(backend, "l", ["x"]);
    expect(await looks).toBe("x");
    await allow(...grants, "+PUBLISH", "+SUBSCRIBE", "+PING", "&{prism:*");
    const hears = blockingPop(backend, "l");
    await waitFor(async () =>
      expect(await askRedis(server.url, "PUBSUB", "NUMSUB", "{prism:filled}")).toContainEqual(1),
    );
    await pushTexts(backend, "l", ["y"]);
    expect(await hears).toBe("y");
  });

  test("a server that would evict data when it is full is refused", async () => {
    await using server = await startRedis({
      args: ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"],
    });
    const error = await openErrorOf(configOf(server.url));
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toContain("set its maxmemory-policy to noeviction (it is allkeys-lru)");
    await askRedis(server.url, "CONFIG", "SET", "maxmemory", "0");
    await open(configOf(server.url));
  });

  test("a full one refuses writes, whole, and takes deletes", async () => {
    await using server = await startRedis();
    const { entries, lists, backend } = await open(configOf(server.url));
    await setTexts(entries, { a: "1", b: "2" });
    await askRedis(server.url, "CONFIG", "SET", "maxmemory", "1");
    const full = { reason: "store_full" };
    await expect(setTexts(entries, { a: "9", c: "9" })).rejects.toMatchObject(full);
    const push = { key: "l", end: "left", value: Buffer.from("x") } as const;
    await expect(lists.push("default", [push], CALL)).rejects.toMatchObject(full);
    expect(texts(await entries.get("default", ["a", "c"], CALL))).toEqual(["1", undefined]);
    expect(await entries.delete("default", ["a"], CALL)).toEqual([true]);
    await backend.check();
    // Also for a gateway that starts then.
    const late = await open(configOf(server.url));
    expect(await late.entries.delete("default", ["b"], CALL)).toEqual([true]);
    await askRedis(server.url, "CONFIG", "SET", "maxmemory", "0");
    await setTexts(entries, { a: "3" });
  });

  test("a server that refuses writes can be read all the time", async () => {
    await using server = await startRedis();
    const { entries, scans, backend } = await open(configOf(server.url));
    const commits = present(backend.commits);
    await setTexts(entries, { a: "1" });
    await setTexts(entries, { b: "1" }, { ttlMs: 300 });
    await askRedis(server.url, "CONFIG", "SET", "min-replicas-to-write", "1");
    await waitFor(async () => expect(await entries.exists("default", ["b"], CALL)).toEqual([false]));
    expect(await scans.count("default", "", CALL)).toBe(1);
    for (let i = 0; i < 5; i++) {
      await expect(setTexts(entries, { a: "2" })).rejects.toMatchObject({ reason: "store_unavailable" });
      expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["1"]);
      const commit = changeIf({ key: "a", is: "present" }, set("a", "2"));
      await expect(commitOne(commits, commit)).rejects.toMatchObject({ reason: "store_unavailable" });
      expect(await readTexts(commits, "a")).toEqual(["1"]);
      const idle = changeIf({ key: "a", is: "absent" }, set("a", "2"));
      expect(await commitOne(commits, idle)).toMatchObject({ committed: false });
    }
    await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
    // Also for a gateway that starts then.
    const late = await open(configOf(server.url));
    expect(texts(await late.entries.get("default", ["a"], CALL))).toEqual(["1"]);
    await askRedis(server.url, "CONFIG", "SET", "min-replicas-to-write", "0");
    await setTexts(entries, { a: "2" });
    await backend.check();
  });

  test("a server that cannot write to its disk can be read, and its health says so", async () => {
    await using folder = await temporaryFolder();
    const directory = join(folder.path, "data");
    await mkdir(directory);
    await using server = await startRedis({ args: ["--dir", directory, "--save", "3600 1"] });
    const { entries, backend } = await open(configOf(server.url));
    await setTexts(entries, { a: "1" });
    await rm(directory, { recursive: true });
    await askRedis(server.url, "BGSAVE");
    await waitFor(async () => {
      await expect(setTexts(entries, { b: "1" })).rejects.toBeInstanceOf(ReadOnlyError);
    });
    expect(texts(await entries.get("default", ["a"], CALL))).toEqual(["1"]);
    await expect(backend.check()).rejects.toBeInstanceOf(ReadOnlyError);
  });

  test("a primary that becomes a replica takes no writes, as its health says, and does when it is the primary again", async () => {
    await using primary = await startRedis();
    await using server = await startRedis();
    const redis = configOf(server.url);
    await using gateway = await startTestServer({
      adjust: (config) => ({
        ...config,
        backends: { redis },
        namespaces: [{ name: "default", pattern: "keyvalue", backend: "redis" }],
      }),
    });
    const { entries } = await open(redis);
    const expectHealth = async (code: number, status: string) => {
      const health = await fetch(`${gateway.adminUrl}/health`);
      expect(health.status).toBe(code);
      expect(await health.json()).toMatchObject({ namespaces: { default: { status } } });
    };
    await expectHealth(200, "serving");
    await askRedis(server.url, "REPLICAOF", "127.0.0.1", primary.port);
    await expect(setTexts(entries, { a: "2" })).rejects.toMatchObject({ reason: "store_unavailable" });
    await waitFor(() => expectHealth(200, "read_only"));
    await askRedis(server.url, "REPLICAOF", "NO", "ONE");
    await waitFor(() => setTexts(entries, { a: "3" }));
    await waitFor(() => expectHealth(200, "serving"));
  });

  test("a server that has lost everything is claimed again at the next health check, or belongs to somebody else by then", async () => {
    await using server = await startRedis();
    const { entries, backend } = await open(configOf(server.url));
    const others = configOf(server.url, { shards: 3 });
    await askRedis(server.url, "FLUSHALL");
    await backend.check();
    expect(await openErrorOf(others)).toBeInstanceOf(StartError);
    await askRedis(server.url, "FLUSHALL");
    await open(others);
    await expect(backend.check()).rejects.toThrow('layout is "3 0/3" and not "3 0/1"');
    await expect(setTexts(entries, { a: "1" })).rejects.toMatchObject({ reason: "store_unavailable" });
  });

  test("data of a Prism without indexes of lists and records gets them when it is opened", async () => {
    await using server = await startRedis();
    const config = configOf(server.url, { shards: 2 });
    const keys = [0, 1].map((shard) => shardKeys("prism", shard));
    const before = await open(config);
    const lists = Array.from({ length: 2500 }, (_, i) => `l${String(i).padStart(4, "0")}`);
    const pushes = lists.map((key) => ({ key, end: "left" as const, value: bytes("1") }));
    await answersOf(present(before.backend.lists).push(NAMESPACE, pushes, CALL));
    const { records } = before.backend;
    await Promise.all(["r1", "r2", "r3"].map((id) => put(present(records), id, [item("a", "1")])));
    await before.backend.close();
    for (const [shard, { layout, lists: index, records: ids }] of keys.entries()) {
      await askRedis(server.url, "SET", layout, `2 ${shard}/2`);
      await askRedis(server.url, "DEL", index, ids);
    }
    const { backend } = await open(config);
    expect(await askRedis(server.url, "GET", shardKeys("prism", 1).layout)).toBe("3 1/2");
    const all = { prefix: "", after: undefined, maxNames: 5000 };
    expect((await present(backend.listNames).pageNames(NAMESPACE, all, CALL)).names).toEqual(lists);
    expect((await present(backend.recordIds).pageIds(NAMESPACE, all, CALL)).names).toEqual([
      "r1",
      "r2",
      "r3",
    ]);
  });

  test("data of an older Prism, which has no versions, is refused with what to do", async () => {
    await using server = await startRedis();
    await askRedis(server.url, "SET", shardKeys("prism", 0).layout, "1 0/1");
    const error = await openErrorOf(configOf(server.url));
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toContain('{prism:0}:layout is "1 0/1" and not "3 0/1": the data is of an older');
    expect(String(error)).toContain("choose another key_prefix");
    await open(configOf(server.url, { key_prefix: "prism2" }));
  });

  describe("TLS", () => {
    /** A server with a self-signed certificate for 127.0.0.1, and its TLS address. */
    async function startTls(...args: readonly string[]) {
      const folder = await temporaryFolder();
      onTestFinished(() => folder[Symbol.asyncDispose]());
      const files = { cert: join(folder.path, "cert.pem"), key: join(folder.path, "key.pem") };
      await writeFile(files.cert, CERT);
      await writeFile(files.key, KEY);
      const port = await freePort();
      const server = await startRedis({
        args: [
          ...["--tls-port", String(port), "--tls-cert-file", files.cert, "--tls-key-file", files.key],
          ...["--tls-ca-cert-file", files.cert, ...args],
        ],
      });
      onTestFinished(() => server[Symbol.asyncDispose]());
      return { files, port, server };
    }

    /** A configuration of each kind for one server. */
    const configsOf = (url: string, tls: object) =>
      [{ url }, { cluster: [url] }, { sentinel: { name: "m", urls: [url] } }].map((place) =>
        redisSchema.parse({ type: "redis", ...place, tls, connect_timeout_ms: 1000 }),
      );

    /** Why the first shard cannot be opened. */
    const refusalOf = (config: RedisConfig) =>
      present(createRedisShards(config)[0])
        .open()
        .catch((error: unknown) => String(error));

    test("with the authority that the configuration names and no other", async () => {
      const { files, port } = await startTls("--tls-auth-clients", "no");
      const { entries } = await open(configOf(`rediss://127.0.0.1:${port}`, { tls: { ca: files.cert } }));
      await setTexts(entries, { a: "1" });
      const noFile = configOf(`rediss://127.0.0.1:${port}`, { tls: { ca: "/no/such/file" } });
      expect(String(await openErrorOf(noFile))).toContain("no such file");
    });

    test("a certificate that is not trusted, or has another name, is reported", async () => {
      const { files, port } = await startTls("--tls-auth-clients", "no");
      for (const config of configsOf(`rediss://127.0.0.1:${port}`, {})) {
        expect(await refusalOf(config)).toContain("self-signed certificate");
      }
      for (const config of configsOf(`rediss://localhost:${port}`, { ca: files.cert })) {
        expect(await refusalOf(config)).toContain("Host: localhost. is not in the cert's altnames");
      }
    });

    test("and that the server wants one of ours, by a Cluster's nodes and by sentinels", async () => {
      const { files, port } = await startTls("--tls-auth-clients", "yes");
      for (const config of configsOf(`rediss://127.0.0.1:${port}`, { ca: files.cert }).slice(1)) {
        expect(await refusalOf(config)).toContain("alert certificate required");
      }
      const { cert, key } = files;
      await open(configOf(`rediss://127.0.0.1:${port}`, { tls: { ca: cert, cert, key } }));
    });

    test("also of a node of a Cluster that another names", async () => {
      const { files, port, server } = await startTls(
        ...["--tls-auth-clients", "no", "--tls-cluster", "yes", "--cluster-enabled", "yes"],
        ...["--cluster-port", String(await freePort())],
        ...["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"],
      );
      await askRedis(server.url, "CLUSTER", "ADDSLOTSRANGE", 0, 16383);
      const [, config] = configsOf(`rediss://127.0.0.1:${port}`, { ca: files.cert });
      expect(await refusalOf(present(config))).toContain("Host: localhost. is not in the cert's altnames");
    });
  });

  test("if no node of a Cluster can be reached, the reason of each is reported", async () => {
    const ports = await freePorts(2);
    const cluster = ports.map((port) => `redis://127.0.0.1:${port}`);
    const [shard] = createRedisShards(redisSchema.parse({ type: "redis", cluster }));
    const refusals = ports.map((port) => `127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`);
    await expect(shard?.open()).rejects.toThrow(refusals.join("; "));
  });
});
