/** What commits leave in Redis, and what the suite cannot see from outside. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  askRedis,
  canStartRedis,
  type RedisProcess,
  startRedis,
  withRedis,
} from "../../../tests/helpers/redis.ts";
import type { Commit, Mutation } from "../commit.ts";
import {
  add,
  change,
  changeIf,
  committed,
  expire,
  persist,
  readHeld,
  readTexts,
  remove,
  replace,
  set,
} from "../conformance/commit-steps.ts";
import { bytes, CALL, NAMESPACE, present, setTexts } from "../conformance/harness.ts";
import { seeded } from "../conformance/seeded.ts";
import { isRefusal } from "../contract.ts";
import { decide } from "../decide.ts";
import { createRedisShards } from "./backend.ts";
import { redisSchema } from "./config.ts";
import { entryName, shardKeys } from "./keys.ts";

describe.runIf(canStartRedis())("commits in redis", () => {
  let redis: RedisProcess | undefined;
  let prefixes = 0;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  async function opened() {
    const { url } = present(redis);
    const key_prefix = `commits-${++prefixes}`;
    const backend = present(createRedisShards(redisSchema.parse({ type: "redis", url, key_prefix }))[0]);
    await backend.open();
    return {
      query: (command: string, ...args: readonly (string | number)[]) => askRedis(url, command, ...args),
      keys: shardKeys(key_prefix, 0),
      entries: present(backend.entries),
      commits: present(backend.commits),
      [Symbol.asyncDispose]: () => backend.close(),
    };
  }

  test("index and order of expiry hold what is there, after any mutations", async () => {
    await using store = await opened();
    const { random, seed } = seeded();
    console.info(`mutations: seed ${seed}`);
    const below = (n: number) => Math.floor(random() * n);
    const pick = (): Mutation => {
      const key = `k${below(8)}`;
      const mutations = [
        ...[set(key, "1"), set(key, "2", 60_000), replace(key, "3"), remove(key), remove(key)],
        ...[add(key, 1n, { ttlMs: below(2) * 70_000 }), expire(key, 80_000), persist(key)],
      ];
      return present(mutations[below(mutations.length)]);
    };
    for (let round = 0; round < 60; round++) {
      const calls = Array.from({ length: 1 + below(4) }, () =>
        change(...Array.from({ length: 1 + below(5) }, pick)),
      );
      await store.commits.commit(NAMESPACE, calls, CALL);
      const { index, expiry, entryPrefix } = store.keys;
      const members = (await store.query("ZRANGE", index, 0, -1)) as string[];
      const names = (await store.query("KEYS", `${entryPrefix}*`)) as string[];
      expect(members).toEqual(names.map((name) => name.slice(entryPrefix.length)).sort());
      const deadlines = await Promise.all(
        members.map(async (member) => [member, await store.query("PEXPIRETIME", entryPrefix + member)]),
      );
      const scores = (await store.query("ZRANGE", expiry, 0, -1, "WITHSCORES")) as string[];
      const expiring = deadlines.filter(([, deadline]) => deadline !== -1);
      const ordered = expiring.sort(
        (a, b) => Number(a[1]) - Number(b[1]) || (String(a[0]) < String(b[0]) ? -1 : 1),
      );
      expect(scores).toEqual(ordered.flat().map(String));
    }
  });

  test("a sum is that of whole numbers of any size", async () => {
    await using store = await opened();
    const { random, seed } = seeded();
    console.info(`sums: seed ${seed}`);
    const signed = (n: bigint) => (random() < 0.5 ? n : -n);
    const bases = [0n, 10n ** 9n, 10n ** 10n, 2n ** 53n, 10n ** 15n, 10n ** 18n, 2n ** 62n, 2n ** 63n - 1n];
    const pick = () => {
      const base = present(bases[Math.floor(random() * bases.length)]);
      return BigInt.asIntN(64, signed(base) + signed(BigInt(Math.floor(random() * 1e4))));
    };
    const sums = Array.from({ length: 3000 }, (_, i) => change(add(`k${i}`, pick(), { initial: pick() })));
    const answers = await store.commits.commit(NAMESPACE, sums, CALL);
    expect(answers.map((answer) => counterOrReason(answer))).toEqual(
      sums.map((commit) => {
        const decision = decide(commit, () => undefined, 0, 1);
        return counterOrReason(isRefusal(decision) ? decision : decision.answer);
      }),
    );
  });

  test("what expires at once keeps its value for a later commit of the same call", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "value", b: "1" });
    const calls: readonly Commit[] = [
      change(expire("a", 1), expire("b", 1)),
      change(persist("a"), add("b", 1n)),
      change(persist("b")),
    ];
    expect(await store.commits.commit(NAMESPACE, calls, CALL)).toMatchObject([
      { results: [{ before: "lasting" }, { before: "lasting" }] },
      { results: [{ before: "expiring" }, { before: "expiring", counter: 2n }] },
      { results: [{ before: "expiring" }] },
    ]);
    expect(await readTexts(store.commits, "a", "b")).toEqual(["value", "2"]);
  });

  test("large values are moved only where somebody asks for them", async () => {
    await using store = await opened();
    const value = new Uint8Array(1024 * 1024).fill(120);
    await store.entries.set(NAMESPACE, [{ key: "a", value, ttlMs: 0 }], CALL);
    const { version } = await readHeld(store.commits, "a");
    await withRedis(present(redis).url, async (client) => {
      await client.config("RESETSTAT");
      await committed(
        store.commits,
        changeIf(
          { key: "a", is: "version", version },
          expire("a", 60_000),
          persist("a"),
          expire("a", 90_000),
        ),
      );
      const [read] = await store.commits.read(NAMESPACE, [{ keys: ["a"], values: true, maxBytes: 1 }], CALL);
      expect(read).toMatchObject({ reason: "value_too_large" });
      await store.commits.read(NAMESPACE, [{ keys: ["a"], values: false, maxBytes: 0 }], CALL);
      // The one GET is of the shard's last version.
      expect(await client.info("commandstats")).toContain("cmdstat_get:calls=1,");
    });
    expect((await readHeld(store.commits, "a")).value).toHaveLength(value.length);
  });

  test("a full server refuses the commits that write, and takes those that only delete", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "1", b: "2", c: "3" });
    await store.query("CONFIG", "SET", "maxmemory", 1);
    try {
      const full = { reason: "store_full" };
      const calls: readonly (readonly [Commit, object])[] = [
        [changeIf({ key: "a", is: "present" }, set("a", "9"), remove("b")), full],
        [change(remove("c"), set("a", "9")), full],
        [change(remove("a"), remove("none")), { committed: true, version: 0 }],
        [changeIf({ key: "a", is: "absent" }, expire("c", 1000)), full],
        [changeIf({ key: "a", is: "absent" }, set("d", "1"), remove("d")), { committed: true, version: 0 }],
        [changeIf({ key: "a", is: "present" }, set("d", "1")), { committed: false }],
      ];
      const commits = calls.map(([commit]) => commit);
      expect(await store.commits.commit(NAMESPACE, commits, CALL)).toMatchObject(
        calls.map(([, answer]) => answer),
      );
    } finally {
      await store.query("CONFIG", "SET", "maxmemory", 0);
    }
    expect(await readTexts(store.commits, "a", "b", "c", "d")).toEqual([undefined, "2", "3", undefined]);
  });

  test("an entry without a version is damaged, and a read of it refused alone", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "1", b: "2" });
    await store.query("SET", entryName(store.keys, NAMESPACE, "a"), "x");
    const read = (key: string) => ({ keys: [key], values: true, maxBytes: 99 });
    expect(await store.commits.read(NAMESPACE, [read("a"), read("b")], CALL)).toMatchObject([
      { reason: "corrupt_data" },
      [{ value: Buffer.from(bytes("2")) }],
    ]);
  });
});

function counterOrReason(answer: unknown): unknown {
  if (isRefusal(answer)) {
    return answer.reason;
  }
  const { results } = answer as { readonly results: readonly { readonly counter: bigint }[] };
  return present(results[0]).counter;
}
