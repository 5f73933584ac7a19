import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import type { PrismClient } from "./client.ts";
import { KeyNotFoundError } from "./errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

/** Ranges, places and moves of lists, over both clients. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let list: PrismClient["list"];

  beforeAll(async () => {
    server = await startTestServer();
    client = connect(server);
    list = client.list;
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  async function texts(key = "list", start?: number, stop?: number): Promise<string[]> {
    const values = await Array.fromAsync(list.range(key, start, stop));
    return values.map((value) => new TextDecoder().decode(value));
  }

  beforeEach(async () => {
    await list.trim("list", 1, 0);
    await list.trim("other", 1, 0);
    for (const value of ["a", "b", "c", "b"]) {
      await list.pushRight("list", value);
    }
  });

  test("reads ranges, counted from both ends", async () => {
    expect(await texts()).toEqual(["a", "b", "c", "b"]);
    expect(await texts("list", 1, 2)).toEqual(["b", "c"]);
    expect(await texts("list", -2)).toEqual(["c", "b"]);
    expect(await texts("list", 3, 1)).toEqual([]);
    expect(await texts("none")).toEqual([]);
    for await (const value of list.range("list")) {
      expect(value.constructor).toBe(Uint8Array);
      break;
    }
  });

  test("names the lists that there are", async () => {
    await list.pushRight("other", "1");
    expect(await Array.fromAsync(list.names())).toEqual(["list", "other"]);
    expect(await Array.fromAsync(list.names({ prefix: "o" }))).toEqual(["other"]);
    expect(await Array.fromAsync(list.names({ start: "a", end: "other" }))).toEqual(["list"]);
    expect(await Array.fromAsync(list.namePages())).toEqual([["list", "other"]]);
    await list.popLeft("other");
    expect(await Array.fromAsync(list.names())).toEqual(["list"]);
    await expect(list.names({ prefix: any(1) }).next()).rejects.toThrow("prefix must be a string");
    await expect(list.names(any({ limit: 1 })).next()).rejects.toThrow("there is no option limit");
    await expect(list.names({ namespace: "none" }).next()).rejects.toMatchObject({
      reason: "namespace_not_found",
    });
  });

  test("trims to a range", async () => {
    expect(await list.trim("list", 1, -2)).toBe(2);
    expect(await texts()).toEqual(["b", "c"]);
    expect(await list.trim("list", 5, 6)).toBe(0);
    expect(await list.length("list")).toBe(0);
  });

  test("reads and replaces what is in a place", async () => {
    expect(await list.get("list", -2)).toEqual(bytes("c"));
    expect(await list.get("list", 4)).toBeUndefined();
    await list.set("list", 0, "A");
    await list.set("list", -1, "");
    expect(await texts()).toEqual(["A", "b", "c", ""]);
    await expect(list.set("list", 4, "x")).rejects.toMatchObject({ reason: "index_out_of_range", code: 11 });
    await expect(list.set("none", 0, "x")).rejects.toThrow(KeyNotFoundError);
    await expect(list.set("none", 0, "x")).rejects.toMatchObject({ key: "none" });
  });

  test("inserts beside a value, and removes equal ones", async () => {
    expect(await list.insertBefore("list", "b", "x")).toEqual({ inserted: true, length: 5 });
    expect(await list.insertAfter("list", bytes("b"), "y")).toEqual({ inserted: true, length: 6 });
    expect(await texts()).toEqual(["a", "x", "b", "y", "c", "b"]);
    expect(await list.insertAfter("list", "none", "z")).toEqual({ inserted: false, length: 6 });
    expect(await list.remove("list", "b", { count: -1 })).toBe(1);
    expect(await texts()).toEqual(["a", "x", "b", "y", "c"]);
    await list.pushLeft("list", "b");
    expect(await list.remove("list", "b")).toBe(2);
    expect(await list.remove("list", "b")).toBe(0);
  });

  test("moves values between ends", async () => {
    expect(await list.move("list", "left", "other", "right")).toEqual(bytes("a"));
    expect(await list.move("list", "right", "other", "left")).toEqual(bytes("b"));
    expect(await list.move("list", "left", "list", "right")).toEqual(bytes("b"));
    expect([await texts(), await texts("other")]).toEqual([
      ["c", "b"],
      ["b", "a"],
    ]);
    expect(await list.move("none", "left", "other", "right")).toBeUndefined();
  });

  test("refuses wrong arguments before it sends anything", async () => {
    const sent = server.log.length;
    const noKeys = [undefined, null, 5, ["key"], "\ud800"];
    const noValues = [undefined, null, 5, [1], {}];
    const noPlaces = [null, "5", 1.5, Number.NaN, 2 ** 60];
    const calls: [message: RegExp, make: () => Promise<unknown>[]][] = [
      [
        /^listKey /,
        () =>
          noKeys.flatMap((key) => [
            Array.fromAsync(list.range(any(key))),
            list.trim(any(key), 0, 1),
            list.get(any(key), 0),
            list.set(any(key), 0, ""),
            list.insertBefore(any(key), "", ""),
            list.remove(any(key), ""),
          ]),
      ],
      [
        /^(source|destination)Key /,
        () =>
          noKeys.flatMap((key) => [
            list.move(any(key), "left", "list", "left"),
            list.move("list", "left", any(key), "left"),
          ]),
      ],
      [
        /^(source|destination)End must be "left" or "right", not /,
        () =>
          [undefined, null, "LEFT", 1].flatMap((end) => [
            list.move("list", any(end), "list", "left"),
            list.move("list", "left", "list", any(end)),
          ]),
      ],
      [
        /^value /,
        () =>
          noValues.flatMap((value) => [
            list.set("list", 0, any(value)),
            list.insertAfter("list", "", any(value)),
            list.remove("list", any(value)),
          ]),
      ],
      [/^pivot /, () => noValues.map((pivot) => list.insertBefore("list", any(pivot), ""))],
      [
        /^(start|stop) /,
        () =>
          noPlaces.flatMap((place) => [
            Array.fromAsync(list.range("list", any(place))),
            Array.fromAsync(list.range("list", 0, any(place))),
            list.trim("list", any(place), 0),
            list.trim("list", 0, any(place)),
          ]),
      ],
      [
        /^index /,
        () =>
          [undefined, ...noPlaces].flatMap((index) => [
            list.get("list", any(index)),
            list.set("list", any(index), ""),
          ]),
      ],
      [/^count /, () => [null, "1", 1.5].map((count) => list.remove("list", "a", any({ count })))],
      [
        /^there is no option (count|limit), but /,
        () => [
          list.get("list", 0, any({ count: 1 })),
          Array.fromAsync(list.range("list", 0, 1, any({ limit: 5 }))),
        ],
      ],
    ];
    for (const [message, make] of calls) {
      for (const outcome of await Promise.allSettled(make())) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { reason: "invalid_field", code: 3, message: expect.stringMatching(message) },
        });
      }
    }
    expect(server.log.length).toBe(sent);
  });
});
