/** What every view looks like: to a person's eyes, and to those who read with other means. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { canOpenConsole, firstLoadBytes, inspect, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

/** The first load must stay below this. */
const MOST_BYTES = 100_000;

describe.runIf(canOpenConsole())("the console", () => {
  const browser = useBrowser();
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer();
    await using client = new PrismClient(server.address);
    await client.keyvalue.set("greeting", "hello", { ttlSeconds: 3600 });
    await client.keyvalue.set("order:17", '{"item":"pen","paid":true}');
    for (const job of ["mail to alice", '{"report":17,"pages":[1,2]}', "\u202emarks", "x".repeat(500)]) {
      await client.list.pushRight("jobs", job);
      await client.list.pushRight(`archive:${"of a long name:".repeat(6)}2026`, job);
    }
    await client.records.put("user:1", [
      { key: Uint8Array.of(0x00, 0xff), value: Uint8Array.of(0xff, 0xfe) },
      { key: "address", value: '{"street":"Main Street 1","city":"Springfield"}', ttlSeconds: 86_400 },
      { key: "name", value: "alice", compression: "none" },
    ]);
    const timestampMs = Date.parse("2026-01-31T12:00:00.250Z");
    await client.timeseries.appendBatch("heat", [
      { payload: "21.5", timestampMs, tags: { room: "kitchen" } },
      { payload: '{"degrees":22,"humid":true}', timestampMs: timestampMs + 1000, tags: { room: "hall" } },
      {
        payload: "x".repeat(500),
        timestampMs: timestampMs + 90_000,
        tags: { note: "of a long value ".repeat(9) },
      },
      { payload: "\u202emarks", timestampMs: timestampMs + 3_600_000 },
      { payload: new Uint8Array([0xff, 0xfe]), timestampMs: timestampMs + 7_200_000 },
    ]);
    await client.timeseries.createStream(`audit:${"of a long name:".repeat(6)}2026`, { retentionDays: 30 });
    for (let i = 0; i < 100; i++) {
      await client.keyvalue.set(`user:${i}`, `user number ${i}`);
    }
  });

  afterAll(() => server.stop());

  const heading = (name: string) => (page: Page) => page.getByRole("heading", { name, level: 1 });

  test.each([
    ["overview", "/", (page: Page) => page.getByRole("cell", { name: "102" })],
    ["stores", "/stores", heading("Stores")],
    ["store", "/stores/database", heading("database")],
    ["traffic", "/traffic", (page: Page) => page.locator(".chart canvas")],
    ["about", "/ns/default/about", (page: Page) => page.getByRole("heading", { name: "What works in it" })],
    ["keys", "/ns/default/keys", (page: Page) => page.getByRole("option", { name: "greeting" })],
    ["key", "/ns/default/keys?key=order%3A17", (page: Page) => page.getByText("paid")],
    ["lists", "/ns/default/lists", (page: Page) => page.getByText("2 lists")],
    ["list", "/ns/default/lists?name=jobs", (page: Page) => page.getByText("mail to alice")],
    ["list-value", "/ns/default/lists?name=jobs&at=1", (page: Page) => page.getByText('"report": 17')],
    ["records", "/ns/default/records", (page: Page) => page.getByRole("option", { name: "user:1" })],
    [
      "record",
      "/ns/default/records?name=user%3A1&item=61646472657373",
      (page: Page) => page.getByText("Main Street 1").last(),
    ],
    ["streams", "/ns/default/streams", (page: Page) => page.getByText("2 streams")],
    [
      "stream",
      "/ns/default/streams?name=heat&span=between&from=1769800000000",
      (page: Page) => page.getByText("5 events", { exact: true }),
    ],
    [
      "stream-empty",
      "/ns/default/streams?name=heat",
      (page: Page) => page.getByText("No event is of this time"),
    ],
    [
      "stream-event",
      "/ns/default/streams?name=heat&span=all&at=1%401769860801250&tags=%7B%22room%22%3A%22hall%22%7D",
      (page: Page) => page.getByText('"degrees": 22'),
    ],
    ["new-stream", "/ns/default/streams?new=1", (page: Page) => page.getByText("Keep its events for")],
    ["new-record", "/ns/default/records?new=1", (page: Page) => page.getByLabel("Key of its first item")],
  ])("%s", { timeout: 240_000 }, async (name, path, settled) => {
    const page = await visit(browser(), viewAt(server.adminUrl, path));
    expect(await inspect(page, name, settled(page))).toEqual([]);
  });

  test("loads little", () => {
    expect(firstLoadBytes()).toBeLessThan(MOST_BYTES);
  });

  test("is a sentence where there is no JavaScript", async () => {
    const page = await visit(browser(), server.adminUrl, { javaScript: false });
    expect(await page.locator("body").textContent()).toContain("The console needs JavaScript");
  });
});
