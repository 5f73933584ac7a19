import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { until } from "../../../tests/helpers/until.ts";
import { PrismClient } from "../../web.ts";
import { KeyPages } from "./key-pages.ts";
import { isBefore } from "./key-side.ts";

const COUNT = 6500;
const keyOf = (i: number) => `key:${String(i).padStart(5, "0")}`;

/** Counts the calls and keys that are read. */
function watched({ keyvalue }: PrismClient) {
  const told = { calls: 0, keys: 0 };
  return {
    told,
    count: keyvalue.count,
    rangeKeys(...options: Parameters<typeof keyvalue.rangeKeys>) {
      told.calls++;
      const keys = keyvalue.rangeKeys(...options);
      return (async function* () {
        for await (const key of keys) {
          told.keys++;
          yield key;
        }
      })();
    },
  } as Pick<PrismClient["keyvalue"], "count" | "rangeKeys"> & { readonly told: typeof told };
}

describe("the rows of a range of keys", () => {
  let server: TestServer;
  let client: PrismClient;
  beforeAll(async () => {
    server = await startTestServer({ logLevel: "info" });
    client = new PrismClient(server.baseUrl);
  });
  afterAll(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });

  async function filled(name: string): Promise<void> {
    await client.keyvalue.setMany(
      Array.from({ length: COUNT }, (_, i): [string, string] => [`${name}${keyOf(i)}`, ""]),
    );
  }
  const shows = (pages: KeyPages, row: number, key: string | undefined) =>
    until(`row ${row} is ${key}`, () => pages.progress === undefined && pages.keyAt(row) === key);

  test("are read where they are seen, from the nearer end", async () => {
    await filled("near:");
    const source = watched(client);
    const pages = new KeyPages(source, "near:", () => {});
    pages.see(0, 30);
    await until("it is read", () => pages.isCounted && pages.keyAt(29) !== undefined);
    expect([pages.rows, pages.keyAt(0), pages.keyAt(999)]).toEqual([
      COUNT,
      `near:${keyOf(0)}`,
      `near:${keyOf(999)}`,
    ]);
    expect(pages.keyAt(1000)).toBeUndefined();

    pages.see(COUNT - 30, COUNT);
    await shows(pages, COUNT - 1, `near:${keyOf(COUNT - 1)}`);
    pages.see(3200, 3230);
    await shows(pages, 3229, `near:${keyOf(3229)}`);
    expect(pages.keyAt(3200)).toBe(`near:${keyOf(3200)}`);
    expect(source.told.calls).toBe(3);

    // A page that was passed is there, and one that was read can be read again by itself.
    const before = source.told.keys;
    pages.refresh();
    await until("it is read", () => source.told.keys > before);
    await shows(pages, 3200, `near:${keyOf(3200)}`);
    expect(source.told.keys - before).toBeLessThanOrEqual(1001);
    pages.close();
  });

  test("follow what who looks makes and deletes", async () => {
    await filled("own:");
    const pages = new KeyPages(client.keyvalue, "own:", () => {});
    pages.see(2000, 2030);
    await shows(pages, 2000, `own:${keyOf(2000)}`);
    await client.keyvalue.set(`own:${keyOf(1999)}a`, "");
    pages.change(`own:${keyOf(1999)}a`, 1);
    await shows(pages, 2000, `own:${keyOf(1999)}a`);
    expect([pages.rows, pages.keyAt(2001)]).toEqual([COUNT + 1, `own:${keyOf(2000)}`]);
    await client.keyvalue.delete(`own:${keyOf(0)}`);
    pages.change(`own:${keyOf(0)}`, -1);
    await shows(pages, 2000, `own:${keyOf(2000)}`);
    pages.change("other", 1);
    expect(pages.rows).toBe(COUNT);
    pages.close();
  });

  test("hold though others make and delete keys meanwhile", async () => {
    await filled("others:");
    const pages = new KeyPages(client.keyvalue, "others:", () => {});
    pages.see(0, 30);
    await until("it is read", () => pages.isCounted && pages.keyAt(0) !== undefined);
    await client.keyvalue.deleteMany(Array.from({ length: 100 }, (_, i) => `others:${keyOf(COUNT - 1 - i)}`));
    // The count is too high: the last row is the last key all the same.
    pages.see(COUNT - 30, COUNT);
    await shows(pages, COUNT - 1, `others:${keyOf(COUNT - 101)}`);
    for (let row = 500; row < COUNT; row += 500) {
      pages.see(row, row + 30);
      await until("it is read", () => pages.keyAt(Math.min(row, pages.rows - 1)) !== undefined);
    }
    await client.keyvalue.deletePrefix("others:");
    pages.refresh();
    await until("it is read", () => pages.rows === 0);
    pages.close();
  });

  test("tell a failure, and are read when it is over", async () => {
    await client.keyvalue.set("failing", "");
    let fails = true;
    const source = {
      count: client.keyvalue.count,
      rangeKeys(...options: Parameters<typeof client.keyvalue.rangeKeys>) {
        return client.keyvalue.rangeKeys({ ...options[0], ...(fails && { namespace: "nowhere" }) });
      },
    } as Pick<PrismClient["keyvalue"], "count" | "rangeKeys">;
    const pages = new KeyPages(source, "failing", () => {});
    pages.see(0, 30);
    await until("it is read", () => pages.problem !== undefined);
    expect(pages.problem).toMatchObject({ reason: "namespace_not_found" });
    fails = false;
    pages.refresh();
    await shows(pages, 0, "failing");
    pages.close();
  });
});

test("keys are in the order of their bytes", () => {
  const keys = ["", "a", "a\u0000", "ab", "b", "\uffff", "\u{10000}", "\u{10001}"];
  const bytes = (key: string) => Buffer.from(key);
  for (const a of keys) {
    for (const b of keys) {
      expect(isBefore(a, b)).toBe(Buffer.compare(bytes(a), bytes(b)) < 0);
    }
  }
});
