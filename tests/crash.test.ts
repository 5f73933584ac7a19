import { createHash } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { spawnServer, temporaryFolder } from "./helpers/process.ts";

/**
 * kill -9 during concurrent writes to one SQLite file, round after round. Each writer has its own
 * keys and list, so it knows what must be there: the state after its last answered call, or after
 * the call under way.
 */
const ROUNDS = Number(process.env.PRISM_CRASH_ROUNDS ?? 10);
const WRITERS = 8;
const KEYS_PER_WRITER = 4;
/**
 * The kill comes after this many answers and a few more, so that it hits every phase of a commit.
 */
const ANSWERS_BEFORE_KILL = 80;

type Clients = ReturnType<typeof connect>;

function connect(address: string) {
  const baseUrl = `http://${address}`;
  const sessionManager = new Http2SessionManager(baseUrl);
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return {
    keyValue: createClient(KeyValueBasicInterface, transport),
    scan: createClient(KeyValueScanInterface, transport),
    list: createClient(ListBasicInterface, transport),
    close: () => sessionManager.abort(),
  };
}

/**
 * One writer's data: values by key ("" = none), and a list as the numbers from which its values are
 * made.
 */
interface Owned {
  readonly entries: ReadonlyMap<string, number>;
  readonly list: readonly number[];
}

/** A value of 8 bytes to 40 kB in which any torn write would show. */
function bytesOf(seed: number): Uint8Array {
  const pattern = createHash("sha256").update(String(seed)).digest();
  const size = seed % 7 === 0 ? 40_000 : 8 + (seed % 200);
  return Buffer.concat([Buffer.from(`${seed}:`), Buffer.alloc(size, pattern)]);
}

function seedOf(value: Uint8Array): number {
  const seed = Number.parseInt(Buffer.from(value.subarray(0, 20)).toString("latin1"), 10);
  expect(Buffer.compare(value, bytesOf(seed)), `the value of ${seed} is whole`).toBe(0);
  return seed;
}

class Writer {
  readonly name: string;
  /** The state after the answered calls. */
  certain: Owned = { entries: new Map(), list: [] };
  /** The state if the call under way takes effect. */
  possible: Owned | undefined;
  #count = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** Writes until the server is gone. Calls `answered` after each answer. */
  async write(clients: Clients, answered: () => void): Promise<void> {
    for (;;) {
      const seed = Number(this.name) * 1_000_000 + this.#count++;
      const { next, run } = this.#step(seed, clients);
      this.possible = next;
      try {
        await run();
      } catch {
        return;
      }
      this.certain = next;
      this.possible = undefined;
      answered();
    }
  }

  #step(seed: number, { keyValue, list }: Clients): { next: Owned; run: () => Promise<unknown> } {
    const key = `${this.name}/${seed % KEYS_PER_WRITER}`;
    const entries = new Map(this.certain.entries);
    const items = [...this.certain.list];
    const value = bytesOf(seed);
    const listKey = this.name;
    const next = { entries, list: items };
    switch (seed % 5) {
      case 0:
      case 1:
        entries.set(key, seed);
        return { next, run: () => keyValue.set({ key, value }) };
      case 2:
        entries.delete(key);
        return { next, run: () => keyValue.delete({ key }) };
      case 3:
        items.push(seed);
        return { next, run: () => list.pushRight({ listKey, value }) };
      default:
        items.shift();
        return { next, run: () => list.popLeft({ listKey }) };
    }
  }

  /** Reads everything back, compares, and goes on from there with an empty list. */
  async verify({ keyValue, scan, list }: Clients): Promise<void> {
    const entries = new Map<string, number>();
    for await (const { key, value } of scan.scan({ prefix: `${this.name}/` })) {
      entries.set(key, seedOf(value));
      expect((await keyValue.get({ key })).value).toEqual(value);
    }
    const items: number[] = [];
    for (;;) {
      const { found, value } = await list.popLeft({ listKey: this.name });
      if (!found) {
        break;
      }
      items.push(seedOf(value));
    }
    const found = { entries: new Map([...entries].sort()), list: items };
    const allowed = [this.certain, ...(this.possible ? [this.possible] : [])].map((owned) => ({
      entries: new Map([...owned.entries].sort()),
      list: owned.list,
    }));
    expect(allowed).toContainEqual(found);
    this.certain = { entries, list: [] };
    this.possible = undefined;
  }
}

test(
  `${ROUNDS} times kill -9 under ${WRITERS} writers: what was answered is there, and nothing is half there`,
  async () => {
    await using folder = await temporaryFolder();
    const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(String(i + 1)));
    let answers = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await using server = await spawnServer(["--data-dir", folder.path]);
      const clients = connect(server.address);
      await Promise.all(writers.map((writer) => writer.verify(clients)));
      const killAt = ANSWERS_BEFORE_KILL + ((round * 37) % 100);
      let count = 0;
      await Promise.all(
        writers.map((writer) =>
          writer.write(clients, () => {
            answers++;
            if (++count === killAt) {
              server.child.kill("SIGKILL");
            }
          }),
        ),
      );
      clients.close();
      expect(await server.exited).toBe("SIGKILL");
    }
    await using server = await spawnServer(["--data-dir", folder.path]);
    const clients = connect(server.address);
    await Promise.all(writers.map((writer) => writer.verify(clients)));
    clients.close();
    expect(answers).toBeGreaterThan(ROUNDS * ANSWERS_BEFORE_KILL);
  },
  60_000 + ROUNDS * 20_000,
);
