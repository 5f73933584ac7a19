/** Streams in the console: read by time and by tags, followed, appended to and deleted. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { canOpenConsole, inspect, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { startTcpProxy } from "../helpers/tcp-proxy.ts";

const LONG = { timeout: 120_000 };
/** For tests that look at the page in all its widths too. */
const SLOW = { timeout: 240_000 };
const DAY_MS = 86_400_000;
/** Markup, and a mark that turns the direction of text. */
const HOSTILE = '<img src=x onerror="alert(1)">\u202egnp';
const SEEN = '<img src=x onerror="alert(1)">\\u202egnp';

describe.runIf(canOpenConsole())("streams", () => {
  const browser = useBrowser();
  let server: TestServer;
  let client: PrismClient;

  beforeAll(async () => {
    server = await startTestServer();
    client = new PrismClient(server.address);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  const streams = (query = "") => visit(browser(), viewAt(server.adminUrl, `/ns/default/streams${query}`));
  const open = (name: string, more = "") => streams(`?name=${encodeURIComponent(name)}${more}`);
  const pane = (page: Page) => page.getByRole("region", { name: "Stream" });
  const events = (page: Page) => page.getByRole("listbox", { name: "Events" });
  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();
  const follow = (page: Page) => page.getByRole("checkbox", { name: "Follow" });
  const toast = (page: Page, text: string | RegExp) => page.getByRole("status").getByText(text).waitFor();
  const stored = async (name: string) =>
    (await Array.fromAsync(client.timeseries.query(name))).map(({ payload }) =>
      Buffer.from(payload).toString(),
    );

  /** Waits until the page shows events with these payloads, and no others. */
  async function shows(page: Page, ...all: readonly string[]): Promise<void> {
    const payloads = () => events(page).locator(".item-value").allInnerTexts();
    await expect.poll(payloads, { timeout: 30_000 }).toEqual(all);
  }

  test("where there is none it is said what to do, and the first is made", LONG, async () => {
    const page = await streams();
    await page.getByText("No stream is here yet").waitFor();
    await page.getByText("TimeSeriesService/Append").waitFor();
    await page.getByRole("link", { name: "New stream" }).click();
    await page.getByRole("textbox", { name: "Name", exact: true }).fill("logins");
    await press(page, "Make it");
    await toast(page, "The stream is made");
    await page.getByRole("heading", { name: "logins" }).waitFor();
    await page.getByRole("option", { name: "logins" }).waitFor();
    await page.getByText("The stream has no event").waitFor();
    await pane(page).getByText("kept for ever").waitFor();
    await press(page, "Append an event");
    await page.getByRole("textbox", { name: "Payload" }).fill("alice");
    await page.getByRole("textbox", { name: /^Tags/ }).fill("city=Bern\nvia = web=1");
    await press(page, "Append");
    await toast(page, /^Appended at .*, offset 0$/);
    await shows(page, "alice");
    const [event] = await Array.fromAsync(client.timeseries.query("logins"));
    expect(event).toMatchObject({ offset: 0, tags: { city: "Bern", "via ": " web=1" } });
    expect(Math.abs(Date.now() - (event?.timestampMs ?? 0))).toBeLessThan(600_000);
    await client.timeseries.deleteStream("logins");
  });

  test("one is made with a retention of its own, and one that is there is not changed", LONG, async () => {
    await client.timeseries.createStream("there", { retentionDays: 7 });
    const page = await streams("?new=1");
    const name = page.getByRole("textbox", { name: "Name", exact: true });
    const days = page.getByRole("spinbutton", { name: /^Keep its events for/ });
    await name.fill("there");
    await days.fill("30");
    await press(page, "Make it");
    const taken = page.getByRole("alert");
    await taken.getByText("There is a stream with this name already").waitFor();
    expect(await client.timeseries.describeStream("there")).toMatchObject({ retentionDays: 7 });
    await name.fill("made");
    await taken.waitFor({ state: "detached" });
    await days.fill("36501");
    await press(page, "Make it");
    await page.locator("input:invalid").waitFor();
    await days.fill("30");
    await page.keyboard.press("Control+s");
    await pane(page).getByText("kept for 30 days").waitFor();
    await page.getByRole("option", { name: "made" }).waitFor();
    expect(await client.timeseries.describeStream("made")).toMatchObject({
      retentionDays: 30,
      nextOffset: 0,
    });
    const again = await streams("?new=1");
    await again.getByRole("textbox", { name: "Name", exact: true }).fill("x".repeat(5000));
    await again.getByText(/^The name of a stream has at most/).waitFor();
    expect(await again.getByRole("button", { name: "Make it" }).isDisabled()).toBe(true);
  });

  test("an event with a time of its own is appended, and found at its time", LONG, async () => {
    await client.timeseries.append("own-time", "now");
    const page = await open("own-time");
    await shows(page, "now");
    await press(page, "Append an event");
    await page.getByRole("textbox", { name: "Payload" }).fill("then");
    await page.getByLabel(/^Time/).fill("2026-01-02T03:04:05.678");
    await press(page, "Append");
    await toast(page, "Appended at 2026-01-02 03:04:05.678, offset 1");
    await shows(page, "now");
    await press(page, "All");
    await shows(page, "then", "now");
    await press(page, "From … to …");
    await page.getByLabel("From", { exact: true }).fill("2026-01-02T03:00:00");
    await page.getByLabel("To", { exact: true }).fill("2026-01-02T04:00:00");
    await shows(page, "then");
    await pane(page).getByText("offsets 0 to 1", { exact: true }).waitFor();
    await pane(page).getByText("earliest 2026-01-02 03:04:05.678").waitFor();
  });

  test("a span of time is chosen, and an empty one says where events are", LONG, async () => {
    const nowMs = Date.now();
    for (const [ageMs, payload] of [
      [3 * DAY_MS, "days"],
      [DAY_MS / 2, "hours"],
      [DAY_MS / 48, "minutes"],
      [1000, "now"],
    ] as const) {
      await client.timeseries.append("spans", payload, { timestampMs: nowMs - ageMs });
    }
    const page = await open("spans");
    await shows(page, "minutes", "now");
    await press(page, "15 minutes");
    await shows(page, "now");
    await press(page, "Day");
    await shows(page, "hours", "minutes", "now");
    await press(page, "All");
    await shows(page, "days", "hours", "minutes", "now");
    await page.reload();
    await shows(page, "days", "hours", "minutes", "now");

    await client.timeseries.append("old", "old", { timestampMs: nowMs - 3 * DAY_MS });
    const old = await open("old");
    await old.getByText("No event is of this time").waitFor();
    await press(old, "Show the hour before it");
    await shows(old, "old");
    await client.timeseries.createStream("empty", { retentionDays: 30 });
    const empty = await open("empty");
    await empty.getByText("The stream has no event").waitFor();
    await empty.getByText("TimeSeriesService/Append").waitFor();
    await pane(empty).getByText("kept for 30 days").waitFor();
    await pane(empty).getByText("no events", { exact: true }).waitFor();
  });

  test("events are found by their tags, and one is opened", LONG, async () => {
    await client.timeseries.appendBatch("tagged", [
      { payload: '{"room":1,"degrees":21.5}', tags: { room: "kitchen", kind: "heat" } },
      { payload: "two", tags: { room: "kitchen", kind: "light" } },
      { payload: "three", tags: { room: "hall", kind: "heat" } },
    ]);
    const page = await open("tagged");
    await shows(page, '{"room":1,"degrees":21.5}', "two", "three");
    await page.getByRole("textbox", { name: "Only events with the tag" }).fill("room=kitchen");
    await page.keyboard.press("Enter");
    await shows(page, '{"room":1,"degrees":21.5}', "two");
    await events(page).getByRole("option").first().click();
    const event = page.getByRole("region", { name: "Event 0" });
    await event.getByText('"degrees": 21.5').waitFor();
    await event.getByRole("button", { name: "kind=heat" }).click();
    await shows(page, '{"room":1,"degrees":21.5}');
    await page.reload();
    await shows(page, '{"room":1,"degrees":21.5}');
    await event.getByText('"degrees": 21.5').waitFor();
    await page.getByRole("button", { name: "Not only room=kitchen" }).click();
    await shows(page, '{"room":1,"degrees":21.5}', "three");
    await page.keyboard.press("Escape");
    await event.waitFor({ state: "detached" });
  });

  test("events are counted by time, and their numbers have a mean", SLOW, async () => {
    const startMs = Date.parse("2026-01-02T03:00:00");
    for (const [minute, payload] of [
      [0, "10"],
      [0, "20"],
      [7, "30"],
      [7, "no number"],
      [9, "none"],
    ] as const) {
      await client.timeseries.append("counted", payload, { timestampMs: startMs + minute * 60_000 });
    }
    const page = await open("counted", `&span=between&from=${startMs}&to=${startMs + 3_600_000}`);
    await page.getByText("Events by time").click();
    const chart = page.getByRole("figure", { name: "Events by time" });
    await chart.getByText("As numbers").click();
    await expect
      .poll(async () => await chart.locator("tbody tr").allInnerTexts())
      .toEqual(["2026-01-02 03:00:00\t2\t15", "2026-01-02 03:07:00\t2\t30", "2026-01-02 03:09:00\t1\t–"]);
    await chart.getByText("Events, each bar 1 min: at most 2").waitFor();
    await chart.getByText("Mean of their numbers: 15 to 30").waitFor();
    expect(await chart.locator("rect").count()).toBe(60);
    expect(await inspect(page, "stream-chart", chart.getByText("at most"))).toEqual([]);
  });

  test("a long stream is read as it is scrolled", LONG, async () => {
    await client.timeseries.appendBatch(
      "long",
      Array.from({ length: 1000 }, (_, i) => ({ payload: `event ${i}` })),
    );
    const page = await open("long");
    await pane(page).getByText("or more").waitFor();
    await events(page).focus();
    await expect
      .poll(
        async () => {
          await page.keyboard.press("End");
          return await events(page).getByText("event 999", { exact: true }).count();
        },
        { timeout: 30_000 },
      )
      .toBe(1);
    await pane(page).getByText("1,000 events", { exact: true }).waitFor();
  });

  test("what comes is followed, of all or with a tag, and the last 1,000 are kept", SLOW, async () => {
    await client.timeseries.append("followed", "before");
    const page = await open("followed");
    await shows(page, "before");
    await follow(page).check();
    await shows(page, "before");
    await client.timeseries.append("followed", "first");
    await client.timeseries.append("followed", "late", { timestampMs: 1000, tags: { is: "late" } });
    await shows(page, "before", "first", "late");
    expect(await inspect(page, "stream-followed", events(page).getByText("late", { exact: true }))).toEqual(
      [],
    );
    await events(page).getByRole("option").nth(2).click();
    await page.getByRole("region", { name: "Event 2" }).getByText("late", { exact: true }).waitFor();
    await page.getByRole("button", { name: "is=late" }).click();
    await shows(page, "late");
    await page.getByRole("button", { name: "Not only is=late" }).click();
    // It follows from here: of what is there before, only the last few come.
    await shows(page, "before", "first", "late");
    const batch = Array.from({ length: 1000 }, (_, i) => ({ payload: `event ${i}` }));
    await client.timeseries.appendBatch("followed", batch);
    await client.timeseries.append("followed", "last");
    // Who looks at the end stays there.
    await events(page).getByText("last", { exact: true }).waitFor();
    await pane(page).getByText("The last 1,000 are kept").waitFor();
    expect(await events(page).getByRole("option").last().getAttribute("aria-setsize")).toBe("1000");
    await follow(page).uncheck();
    await pane(page).getByText("or more").waitFor();
  });

  test("nothing is followed while nobody looks, and nothing is missed", LONG, async () => {
    await client.timeseries.append("unseen", "before");
    const page = await open("unseen");
    await follow(page).check();
    await shows(page, "before");
    const underWay = async () => {
      const answer = await fetch(`${server.adminUrl}/prism.admin.v1.AdminService/GetTraffic`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
      const { methods = [] } = (await answer.json()) as {
        methods?: { method: string; callsUnderWay?: string }[];
      };
      return Number(methods.find(({ method }) => method.endsWith("/Tail"))?.callsUnderWay ?? 0);
    };
    await expect.poll(underWay, { timeout: 30_000 }).toBe(1);
    await setHidden(page, true);
    await expect.poll(underWay, { timeout: 30_000 }).toBe(0);
    await client.timeseries.append("unseen", "meanwhile");
    await setHidden(page, false);
    await shows(page, "before", "meanwhile");
    await expect.poll(underWay, { timeout: 30_000 }).toBe(1);
    await page.getByRole("link", { name: "Keys" }).click();
    await expect.poll(underWay, { timeout: 30_000 }).toBe(0);
  });

  test("a follower says that the gateway is lost, and misses nothing", LONG, async () => {
    await client.timeseries.append("lost", "before");
    await using proxy = await startTcpProxy(Number(new URL(server.adminUrl).port));
    const url = viewAt(`http://localhost:${proxy.port}`, "/ns/default/streams?name=lost");
    const page = await visit(browser(), url);
    await follow(page).check();
    await shows(page, "before");
    proxy.refuse();
    await pane(page).getByText("The gateway is lost").waitFor();
    await client.timeseries.append("lost", "meanwhile");
    await proxy.restore();
    await shows(page, "before", "meanwhile");
    await pane(page).getByText("The gateway is lost").waitFor({ state: "hidden" });
    await client.timeseries.append("lost", "after");
    await shows(page, "before", "meanwhile", "after");
  });

  test("it is deleted once its name is typed", LONG, async () => {
    await client.timeseries.append("deleted", "lost");
    const page = await open("deleted");
    await shows(page, "lost");
    await press(page, "Delete stream …");
    const question = page.getByRole("dialog", { name: "Delete the stream?" });
    await question.getByRole("button", { name: "Delete" }).click();
    expect(await stored("deleted")).toEqual(["lost"]);
    await question.getByRole("textbox").fill("deleted");
    await question.getByRole("button", { name: "Delete" }).click();
    await toast(page, "The stream is deleted");
    await page.getByRole("option", { name: "deleted" }).waitFor({ state: "detached" });
    expect(await Array.fromAsync(client.timeseries.streams())).not.toContain("deleted");
    const again = await open("deleted");
    await pane(again).getByText("There is no such stream").waitFor();
  });

  test("they are found by the beginning of their names", LONG, async () => {
    await client.timeseries.append("sensor:1", "a");
    await client.timeseries.append("sensor:2", "b");
    const page = await streams();
    await page.getByRole("option", { name: "sensor:1" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("sensor:");
    await page.getByText("2 streams", { exact: true }).waitFor();
    await page.keyboard.type("2");
    await page.keyboard.press("Enter");
    await shows(page, "b");
    await page.getByRole("searchbox").fill("nobody");
    await page.getByText("No stream begins so").waitFor();
  });

  test("a hostile name, tag and payload are text and nothing else", LONG, async () => {
    await client.timeseries.append(HOSTILE, HOSTILE, { tags: { [HOSTILE]: HOSTILE, ["__proto__"]: "x" } });
    const page = await streams();
    await page.getByRole("option", { name: SEEN }).click();
    await page.getByRole("heading", { name: SEEN }).waitFor();
    await shows(page, SEEN);
    await events(page).getByRole("option").first().click();
    const event = page.getByRole("region", { name: "Event 0" });
    await event.getByText(SEEN, { exact: true }).waitFor();
    await event.getByRole("button", { name: `${SEEN}=${SEEN}` }).click();
    await event.getByRole("button", { name: "__proto__=x" }).click();
    await page.getByRole("button", { name: "Not only __proto__=x" }).waitFor();
    await page.reload();
    await shows(page, SEEN);
    expect(await page.locator("main img").count()).toBe(0);
  });
});

/** Does what a browser does when its window is covered, or seen again. */
async function setHidden(page: Page, isHidden: boolean): Promise<void> {
  await page.evaluate(
    `Object.defineProperty(document, "visibilityState", { configurable: true, value: "${isHidden ? "hidden" : "visible"}" });
     document.dispatchEvent(new Event("visibilitychange"));`,
  );
}
