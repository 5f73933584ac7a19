/** Lists in the console: made, pushed to, changed in place, taken from, trimmed and deleted. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { canOpenConsole, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const LONG = { timeout: 120_000 };
/** Markup, and a mark that turns the direction of text. */
const HOSTILE = '<img src=x onerror="alert(1)">\u202egnp';
const SEEN = '<img src=x onerror="alert(1)">\\u202egnp';

describe.runIf(canOpenConsole())("lists", () => {
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

  const lists = (query = "") => visit(browser(), viewAt(server.adminUrl, `/ns/default/lists${query}`));
  const open = (name: string) => lists(`?name=${encodeURIComponent(name)}`);
  const pane = (page: Page) => page.getByRole("region", { name: "List" });
  const values = (page: Page) => page.getByRole("listbox", { name: "Values" });
  const press = (page: Page, name: string) => page.getByRole("button", { name, exact: true }).click();
  const field = (page: Page) => page.getByRole("textbox", { name: "Value", exact: true });
  const toast = (page: Page, text: string | RegExp) => page.getByRole("status").getByText(text).waitFor();
  const stored = async (name: string) =>
    (await Array.fromAsync(client.list.range(name))).map((value) => Buffer.from(value).toString());

  async function make(name: string, ...all: readonly string[]): Promise<void> {
    for (const value of all) {
      await client.list.pushRight(name, value);
    }
  }

  /** Waits until the page shows these values in their places, and nothing else. */
  async function shows(page: Page, ...all: readonly string[]): Promise<void> {
    const rows = () => values(page).getByRole("option").allInnerTexts();
    const wanted = all.map((value, place) => [`${place}`, value]);
    await expect
      .poll(async () => (await rows()).map((row) => row.split("\n").slice(0, 2)), { timeout: 30_000 })
      .toEqual(wanted);
  }

  test("where there is none it is said what to do, and the first is made", LONG, async () => {
    const page = await lists();
    await page.getByText("No list is here yet").waitFor();
    await page.getByText("ListBasicInterface/PushRight").waitFor();
    await page.getByRole("link", { name: "New list" }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("jobs");
    await field(page).fill("one");
    await press(page, "Add");
    await toast(page, "The list is made");
    await page.getByRole("heading", { name: "jobs" }).waitFor();
    await page.getByRole("option", { name: "jobs" }).waitFor();
    await shows(page, "one");
    expect(await stored("jobs")).toEqual(["one"]);
    await client.list.trim("jobs", 1, 0);
  });

  test("values are added at both ends", LONG, async () => {
    await make("ends", "middle");
    const page = await open("ends");
    await shows(page, "middle");
    await press(page, "Add a value");
    await field(page).fill("last");
    await press(page, "Add");
    await shows(page, "middle", "last");
    await press(page, "Add a value");
    await field(page).fill("first");
    await page.getByRole("radio", { name: "At the head" }).check();
    await press(page, "Add");
    await shows(page, "first", "middle", "last");
    await pane(page).getByText("3 values", { exact: true }).waitFor();
    expect(await stored("ends")).toEqual(["first", "middle", "last"]);
  });

  test("one is edited, others are inserted beside it, and it is removed", LONG, async () => {
    await make("places", "a", "b", "c");
    const page = await open("places");
    await values(page).getByRole("option").nth(1).click();
    await press(page, "Edit");
    await field(page).fill("B");
    await press(page, "Save");
    await shows(page, "a", "B", "c");
    await press(page, "Insert before");
    await field(page).fill("before");
    await press(page, "Save");
    await shows(page, "a", "before", "B", "c");
    await page.getByRole("region", { name: "Value 1" }).getByText("before", { exact: true }).waitFor();
    await press(page, "Insert behind");
    await field(page).fill("behind");
    await press(page, "Save");
    await shows(page, "a", "before", "behind", "B", "c");
    await press(page, "Remove …");
    await press(page, "Remove");
    await shows(page, "a", "behind", "B", "c");
    expect(await stored("places")).toEqual(["a", "behind", "B", "c"]);
  });

  test("what is taken from an end is put back by undo", LONG, async () => {
    await make("ends-taken", "a", "b", "c");
    const page = await open("ends-taken");
    await press(page, "Take the first");
    await toast(page, "Took the first value");
    await shows(page, "b", "c");
    await press(page, "Undo");
    await toast(page, "The value is back");
    await shows(page, "a", "b", "c");
    await press(page, "Take the last");
    await shows(page, "a", "b");
    expect(await stored("ends-taken")).toEqual(["a", "b"]);
    await press(page, "Undo");
    await shows(page, "a", "b", "c");
    expect(await stored("ends-taken")).toEqual(["a", "b", "c"]);
  });

  test("it is trimmed and deleted once that is confirmed", LONG, async () => {
    await make("trimmed", "a", "b", "c", "d");
    const page = await open("trimmed");
    await press(page, "Trim …");
    await page.getByRole("spinbutton", { name: "From place" }).fill("1");
    await page.getByRole("spinbutton", { name: "To place" }).fill("2");
    await press(page, "Trim …");
    const trim = page.getByRole("dialog", { name: "Trim the list?" });
    await trim.getByText("2 values are lost").waitFor();
    await trim.getByRole("button", { name: "Cancel" }).click();
    expect(await stored("trimmed")).toHaveLength(4);
    await press(page, "Trim …");
    await trim.getByRole("button", { name: "Trim" }).click();
    await shows(page, "b", "c");
    expect(await stored("trimmed")).toEqual(["b", "c"]);

    await page.getByRole("option", { name: "trimmed" }).waitFor();
    await press(page, "Delete");
    const question = page.getByRole("dialog", { name: "Delete the list?" });
    await question.getByText("All its 2 values are lost").waitFor();
    await question.getByRole("button", { name: "Delete" }).click();
    await toast(page, "The list is deleted");
    await pane(page).getByText("There is no such list").waitFor();
    await page.getByRole("option", { name: "trimmed" }).waitFor({ state: "detached" });
    expect(await client.list.length("trimmed")).toBe(0);
  });

  test("what another client changes is read again, said, and not overwritten", LONG, async () => {
    await make("shared", "a", "b");
    const page = await open("shared");
    await shows(page, "a", "b");
    await make("shared", "theirs");
    await pane(page).getByText("Somebody changed it").waitFor();
    await shows(page, "a", "b", "theirs");

    await values(page).getByRole("option").first().click();
    const first = page.getByRole("region", { name: "Value 0" });
    await first.getByText("a", { exact: true }).waitFor();
    await client.list.pushLeft("shared", "first");
    await first.getByText("first", { exact: true }).waitFor();

    await press(page, "Edit");
    await field(page).fill("mine");
    await client.list.pushLeft("shared", "new first");
    await shows(page, "new first", "first", "a", "b", "theirs");
    await press(page, "Save");
    const conflict = page.getByRole("alert").filter({ hasText: "The list has changed meanwhile" });
    await conflict.getByText("new first").waitFor();
    expect(await stored("shared")).toEqual(["new first", "first", "a", "b", "theirs"]);
    await press(page, "Save");
    await shows(page, "mine", "first", "a", "b", "theirs");
    expect(await stored("shared")).toEqual(["mine", "first", "a", "b", "theirs"]);
  });

  test("they are found by the beginning of their names, and opened by a whole one", LONG, async () => {
    await make("order:1", "pen");
    await make("order:2", "ink");
    await make("user:1", "alice");
    const page = await lists();
    await page.getByRole("option", { name: "user:1" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("order:");
    await page.getByText("2 lists", { exact: true }).waitFor();
    expect(await page.getByRole("listbox").getByRole("option").allInnerTexts()).toEqual([
      "order:1",
      "order:2",
    ]);
    await page.keyboard.type("2");
    await page.keyboard.press("Enter");
    await shows(page, "ink");
    await page.keyboard.press("Escape");
    await pane(page).waitFor({ state: "hidden" });
    await page.getByRole("searchbox").fill("nobody");
    await page.getByText("No list begins so").waitFor();
  });

  test("a hostile name and a hostile value are text and nothing else", LONG, async () => {
    await make(HOSTILE, HOSTILE, "plain");
    const page = await lists();
    await page.getByRole("option", { name: SEEN }).click();
    await page.getByRole("heading", { name: SEEN }).waitFor();
    await shows(page, SEEN, "plain");
    await values(page).getByRole("option").first().click();
    await page.getByRole("region", { name: "Value 0" }).getByText(SEEN).waitFor();
    expect(await page.locator("main img").count()).toBe(0);
    await press(page, "Edit");
    expect(await field(page).inputValue()).toBe(HOSTILE);
    await field(page).fill(`${HOSTILE}!`);
    await press(page, "Save");
    await shows(page, `${SEEN}!`, "plain");
    expect(await stored(HOSTILE)).toEqual([`${HOSTILE}!`, "plain"]);
  });
});
