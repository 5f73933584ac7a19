/** Records in the console: made, changed, in conflict, deleted and put back, item by item. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { canOpenConsole, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const LONG = { timeout: 120_000 };
/** No UTF-8. */
const BINARY = Uint8Array.of(0x00, 0xff, 0x10);

describe.runIf(canOpenConsole())("records", () => {
  const browser = useBrowser();
  let server: TestServer;
  let client: PrismClient;

  beforeAll(async () => {
    server = await startTestServer({ logLevel: "info" });
    client = new PrismClient(server.address);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  /** Opens the view of the records, or of one of them. */
  const open = (id?: string) =>
    visit(
      browser(),
      viewAt(
        server.adminUrl,
        `/ns/default/records${id === undefined ? "" : `?name=${encodeURIComponent(id)}`}`,
      ),
    );
  const item = (page: Page, key: string) => page.getByRole("region", { name: `Item ${key}`, exact: true });
  const row = (page: Page, key: string) =>
    page.getByRole("listbox", { name: "Items" }).getByRole("option").filter({ hasText: key });
  const save = (page: Page) => page.getByRole("button", { name: "Save" }).click();
  const saved = (page: Page) => page.getByRole("status").getByText("Saved").waitFor();

  async function edit(page: Page, key: string, value: string): Promise<void> {
    await item(page, key).getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByRole("textbox", { name: `Value of ${key}` }).fill(value);
  }

  /** The items of a record, keys and values as text. */
  async function stored(id: string): Promise<Record<string, string>> {
    const items = await client.records.get(id);
    return Object.fromEntries(
      items.map(({ key, value }) => [Buffer.from(key).toString("latin1"), Buffer.from(value).toString()]),
    );
  }

  test(
    "one is made with its first item, gets another one, and is deleted by typing its id",
    LONG,
    async () => {
      const page = await open();
      await page.getByText("No record is here yet").waitFor();
      await page.keyboard.press("n");
      await page.getByLabel("Id", { exact: true }).fill("user:1");
      await page.getByLabel("Key of its first item").fill("name");
      await page.getByRole("textbox", { name: "Value", exact: true }).fill("alice");
      await save(page);
      await page.getByRole("heading", { name: "user:1" }).waitFor();
      await item(page, "name").getByText("never expires").waitFor();
      expect(await stored("user:1")).toEqual({ name: "alice" });

      // A key that is taken is refused; a binary one is typed as hex.
      await page.getByRole("button", { name: "New item" }).click();
      await page.getByLabel("Key", { exact: true }).fill("name");
      await save(page);
      await page.getByText("There is an item with this key already").waitFor();
      await page.getByLabel("The key is typed as").getByRole("button", { name: "Hex" }).click();
      await page.getByLabel("Key", { exact: true }).fill("00ff1");
      expect(await page.getByRole("button", { name: "Save" }).isDisabled()).toBe(true);
      await page.getByLabel("Key", { exact: true }).fill("00 ff 10");
      await page.getByRole("textbox", { name: "Value", exact: true }).fill("bytes");
      await page.keyboard.press("Control+s");
      await item(page, "0x00ff10").getByText("bytes").waitFor();
      await page.getByText("2 items").waitFor();
      expect(await stored("user:1")).toEqual({ "\x00\xff\x10": "bytes", name: "alice" });

      await page.getByRole("button", { name: "Delete record" }).click();
      const question = page.getByRole("dialog", { name: "Delete the record?" });
      // Without its id nothing happens.
      await question.getByRole("button", { name: "Delete" }).click();
      await question.getByRole("textbox").fill("user:1");
      await question.getByRole("button", { name: "Delete" }).click();
      await page.getByText("The record is deleted, with 2 items").waitFor();
      await page.getByText("No record is here yet").waitFor();
      expect(await stored("user:1")).toEqual({});
    },
  );

  test("an item is edited, and what is kept with it stays", LONG, async () => {
    await client.records.put("edited", [
      { key: "a", value: "first", ttlSeconds: 3600, compression: "zstd" },
      { key: BINARY, value: "bytes" },
    ]);
    const page = await open();
    await page.getByRole("option", { name: "edited" }).click();
    await row(page, "0x00ff10").click();
    await edit(page, "0x00ff10", "other bytes");
    await save(page);
    await saved(page);
    await row(page, "a").last().click();
    await item(page, "a").getByText("compressed with zstd").waitFor();
    await item(page, "a").getByText("1 h after its last write").waitFor();
    await edit(page, "a", "second");
    await page.getByText("A save starts its time to live anew").waitFor();
    await page.keyboard.press("Control+s");
    await row(page, "second").waitFor();
    expect(await stored("edited")).toEqual({ "\x00\xff\x10": "other bytes", a: "second" });
    const [now] = await client.records.get("edited", { keys: ["a"] });
    expect(now).toMatchObject({ ttlSeconds: 3600, compression: "zstd" });
  });

  test("nobody's change is overwritten unseen", LONG, async () => {
    await client.records.put("shared", [{ key: "k", value: "first" }]);
    const page = await open("shared");
    await row(page, "k").click();
    await edit(page, "k", "mine");
    await client.records.put("shared", [{ key: "k", value: "theirs" }]);
    await save(page);
    const conflict = page.getByRole("alert", { name: "Conflict" });
    await conflict.getByText("− theirs", { exact: true }).last().waitFor();
    expect(await stored("shared")).toEqual({ k: "theirs" });
    await conflict.getByRole("button", { name: "Overwrite with mine" }).click();
    await saved(page);
    expect(await stored("shared")).toEqual({ k: "mine" });

    await edit(page, "k", "mine again");
    await client.records.put("shared", [{ key: "k", value: "theirs again" }]);
    await save(page);
    await conflict.getByRole("button", { name: "Keep theirs" }).click();
    await item(page, "k").getByText("theirs again").waitFor();

    // A delete spares what was not seen.
    await client.records.put("shared", [{ key: "k", value: "unseen" }]);
    await item(page, "k").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("It was not deleted").waitFor();
    expect(await stored("shared")).toEqual({ k: "unseen" });
  });

  test("an item is deleted and put back, with the record that it was", LONG, async () => {
    await client.records.put("kept", [{ key: "only", value: "one", ttlSeconds: 3600, compression: "lz4" }]);
    const page = await open("kept");
    await row(page, "only").click();
    await item(page, "only").getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("There is no such record").waitFor();
    expect(await stored("kept")).toEqual({});
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("only is there again").waitFor();
    await row(page, "only").waitFor();
    const [back] = await client.records.get("kept");
    expect(back).toMatchObject({ ttlSeconds: 3600, compression: "lz4" });
  });

  test("more items than a page has, and hostile ones", LONG, async () => {
    const hostile = '<img src=x onerror="document.title=1">\u202E';
    const count = 1000;
    await client.records.put(
      hostile,
      Array.from({ length: count }, (_, i) => ({ key: `k${String(i).padStart(4, "0")}`, value: hostile })),
    );
    await client.records.put(hostile, [{ key: hostile, value: hostile }]);
    const page = await open(hostile);
    // The keyboard goes on to the end of what is read until it is all.
    const rows = page.getByRole("listbox", { name: "Items" });
    await rows.focus();
    await expect
      .poll(async () => {
        await page.keyboard.press("End");
        return await row(page, "k0999").isVisible();
      })
      .toBe(true);
    await page.getByText("1,001 items", { exact: true }).waitFor();
    await page.keyboard.press("Home");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "\\u202e", level: 3 }).waitFor();
    expect(await page.title()).toBe("default – Prism");
  });
});
