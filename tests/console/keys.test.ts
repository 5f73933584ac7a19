/** A million keys in the console, and a key: found, looked at, changed, deleted. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import type { Config } from "../../server/config/config.ts";
import { canOpenConsole, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { fillStore } from "../helpers/fill.ts";
import { createTestDatabase, hasTestDatabase, type TestDatabase } from "../helpers/postgres.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const MANY = 1_000_000;
const keyOf = (i: number) => `user:${String(i).padStart(7, "0")}`;

/** The smallest PNG: one red pixel. */
const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==",
  "base64",
);

interface Open {
  readonly server: TestServer;
  readonly client: PrismClient;
  /** Opens the view of the keys, or of one of them. */
  readonly keys: (key?: string) => Promise<Page>;
}

/** A server on a store, its client, and the way to its keys. */
async function openOn(
  database: Config["backends"][string],
  browser: ReturnType<typeof useBrowser>,
): Promise<Open> {
  const server = await startTestServer({
    adjust: (config) => ({ ...config, backends: { ...config.backends, database } }),
    logLevel: "info",
  });
  return {
    server,
    client: new PrismClient(server.address),
    keys: (key) =>
      visit(
        browser(),
        viewAt(
          server.adminUrl,
          `/ns/default/keys${key === undefined ? "" : `?key=${encodeURIComponent(key)}`}`,
        ),
      ),
  };
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const pane = (page: Page) => page.getByRole("region", { name: "Key" });
const save = (page: Page) => page.getByRole("button", { name: "Save" }).click();
const saved = (page: Page) => page.getByRole("status").getByText("Saved").waitFor();

/** Edits the value that is open as text. */
async function edit(page: Page, key: string, value: string): Promise<void> {
  await page.getByRole("button", { name: "Edit", exact: true }).click();
  await page.getByRole("textbox", { name: `Value of ${key}` }).fill(value);
}

describe.runIf(canOpenConsole())("keys on SQLite", () => {
  const browser = useBrowser();
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let at: Open;

  beforeAll(async () => {
    folder = await temporaryFolder();
    const database = { type: "sqlite", path: join(folder.path, "prism.db") } as const;
    await fillStore(database, MANY, (i) => [keyOf(i), Buffer.from(`{"id":${i}}`)]);
    at = await openOn(database, browser);
  }, 300_000);

  afterAll(async () => {
    await at.client.close();
    await at.server.stop();
    await folder[Symbol.asyncDispose]();
  });

  /** Waits for the count. A busy machine counts a million too slowly for one call. */
  async function counted(page: Page): Promise<void> {
    const count = page.getByText(`${MANY.toLocaleString("en")} keys`, { exact: true });
    for (let tries = 0; tries < 5 && !(await count.isVisible()); tries++) {
      await count
        .waitFor({ timeout: 15_000 })
        .catch(() => page.getByRole("button", { name: "Refresh" }).click());
    }
    await count.waitFor();
  }

  const option = (page: Page, key: string) => page.getByRole("option", { name: key, exact: true });

  test("a million: the first, the last, and one that is searched", {
    timeout: 240_000,
  }, async () => {
    const page = await at.keys();
    await option(page, keyOf(0)).waitFor();
    await counted(page);
    const list = page.getByRole("listbox", { name: "Keys" });
    await list.focus();
    await page.keyboard.press("End");
    await option(page, keyOf(MANY - 1)).waitFor();
    await page.keyboard.press("Home");
    await option(page, keyOf(0)).waitFor();

    // By its beginning, then exactly, with the keyboard alone.
    await page.keyboard.press("/");
    await page.keyboard.type("user:00420");
    await page.getByText("100 keys").waitFor();
    await option(page, keyOf(42_000)).waitFor();
    await page.keyboard.type("17");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: keyOf(42_017) }).waitFor();
    await pane(page).getByText('"id": 42017').waitFor();
    await page.keyboard.press("Escape");
    await pane(page).waitFor({ state: "hidden" });
  });

  test("a million: the middle", { timeout: 600_000 }, async () => {
    const page = await at.keys();
    await counted(page);
    await page.evaluate(`{
      const list = document.querySelector("[role=listbox]");
      list.scrollTop = (list.scrollHeight - list.clientHeight) / 2;
    }`);
    // Half a million keys are read on the way.
    await option(page, keyOf(MANY / 2)).waitFor({ timeout: 500_000 });
  });

  test("text, JSON, hex and a picture are shown and edited", { timeout: 120_000 }, async () => {
    await at.client.keyvalue.set("a-note", "hello");
    const page = await at.keys("a-note");
    await edit(page, "a-note", "grüße");
    await page.keyboard.press("Control+s");
    await saved(page);
    expect(text(await at.client.keyvalue.get("a-note"))).toBe("grüße");

    await edit(page, "a-note", '{"broken":');
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Discard" }).click();
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByRole("button", { name: "Hex", exact: true }).click();
    const field = page.getByRole("textbox", { name: "Value of a-note" });
    await field.fill("00 ff 1");
    expect(await page.getByRole("button", { name: "Save" }).isDisabled()).toBe(true);
    await field.fill("00 ff 10");
    await save(page);
    await pane(page).getByText("00 ff 10").waitFor();
    expect(Buffer.from(await at.client.keyvalue.get("a-note")).toString("hex")).toBe("00ff10");

    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page
      .getByLabel("Take a file")
      .setInputFiles({ name: "pixel.png", mimeType: "image/png", buffer: PIXEL });
    await save(page);
    // The edit shows the picture too, before it is saved.
    await page.getByRole("button", { name: "Edit", exact: true }).waitFor();
    await pane(page).getByText("1 × 1 pixels").waitFor();
    expect(PIXEL.equals(await at.client.keyvalue.get("a-note"))).toBe(true);
  });

  test("nobody's change is overwritten unseen", { timeout: 120_000 }, async () => {
    await at.client.keyvalue.set("a-shared", "first");
    const page = await at.keys("a-shared");
    await edit(page, "a-shared", "mine");
    await at.client.keyvalue.set("a-shared", "theirs");
    await save(page);
    const conflict = page.getByRole("alert", { name: "Conflict" });
    await conflict.getByText("− theirs", { exact: true }).last().waitFor();
    expect(text(await at.client.keyvalue.get("a-shared"))).toBe("theirs");
    await conflict.getByRole("button", { name: "Overwrite with mine" }).click();
    await saved(page);
    expect(text(await at.client.keyvalue.get("a-shared"))).toBe("mine");

    await edit(page, "a-shared", "mine again");
    await at.client.keyvalue.delete("a-shared");
    await save(page);
    await conflict.getByRole("button", { name: "Leave it deleted" }).click();
    await page.getByText("There is no such key").waitFor();
    expect(await at.client.keyvalue.exists("a-shared")).toBe(false);
  });

  test("a time to live counts down to its end", { timeout: 120_000 }, async () => {
    await at.client.keyvalue.set("a-short", "soon gone");
    const page = await at.keys("a-short");
    await page.getByText("never expires").waitFor();
    await page.getByRole("button", { name: "Change expiry" }).click();
    // So long that a busy machine shows it before its end.
    await page.getByLabel("Expires in").fill("12");
    await page.getByRole("button", { name: "Set", exact: true }).click();
    await page.getByText(/expires in \d+ s/).waitFor();
    await page.getByText("This key has expired").waitFor();
    await page.getByRole("button", { name: "Set it again" }).click();
    await save(page);
    await page.getByText("never expires").waitFor();
    expect(text(await at.client.keyvalue.get("a-short"))).toBe("soon gone");
  });

  test("one is made, deleted, and put back", { timeout: 120_000 }, async () => {
    const page = await at.keys();
    await option(page, keyOf(0)).waitFor();
    await page.keyboard.press("n");
    await page.getByLabel("Key", { exact: true }).fill("a-new");
    await page.getByRole("textbox", { name: "Value", exact: true }).fill("one");
    await save(page);
    await page.getByRole("heading", { name: "a-new" }).waitFor();
    expect(text(await at.client.keyvalue.get("a-new"))).toBe("one");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("Deleted a-new").waitFor();
    expect(await at.client.keyvalue.exists("a-new")).toBe(false);
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("a-new is there again").waitFor();
    expect(text(await at.client.keyvalue.get("a-new"))).toBe("one");
  });

  test.each([
    ["markup", '<img src=x onerror="document.title=1"><script>document.title=2</script>'],
    ["marks that turn the direction", "a\u202Etxt.exe"],
    ["control characters", "a\u0000\u001b[31m\tb"],
    ["1,024 bytes", `a${"ü".repeat(511)}b`],
    ["slashes and percent signs", "a/../%2f?key=x&y#z"],
  ])("a hostile key and value: %s", { timeout: 120_000 }, async (_what, hostile) => {
    await at.client.keyvalue.set(hostile, hostile);
    const page = await at.keys(hostile);
    await pane(page).getByRole("region", { name: "Value" }).waitFor();
    await edit(page, hostile, "tame");
    await save(page);
    await saved(page);
    expect(text(await at.client.keyvalue.get(hostile))).toBe("tame");
    expect(await page.title()).toBe("default – Prism");
    await at.client.keyvalue.delete(hostile);
  });

  test("a value of 4 MiB is shown in part, and can be edited", { timeout: 120_000 }, async () => {
    const large = "x".repeat(4 * 1024 * 1024);
    await at.client.keyvalue.set("a-large", large);
    const page = await at.keys("a-large");
    await page.getByText("The first 64 KiB of 4 MiB are shown").waitFor();
    const downloaded = page.waitForEvent("download");
    await page.getByRole("button", { name: "Download" }).click();
    expect((await downloaded).suggestedFilename()).toBe("a-large");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await page.getByLabel("Take a file").setInputFiles({
      name: "new",
      mimeType: "text/plain",
      buffer: Buffer.from(large.replaceAll("x", "y")),
    });
    await save(page);
    await saved(page);
    expect(text(await at.client.keyvalue.get("a-large"))).toBe(large.replaceAll("x", "y"));
  });
});

describe.runIf(canOpenConsole() && hasTestDatabase())("keys on PostgreSQL", () => {
  const browser = useBrowser();
  let database: TestDatabase;
  let at: Open;

  beforeAll(async () => {
    database = await createTestDatabase();
    const { postgresSchema } = await import("../../server/backend/postgres/config.ts");
    at = await openOn(postgresSchema.parse({ type: "postgres", url: database.url }), browser);
  });

  afterAll(async () => {
    await at.client.close();
    await at.server.stop();
    await database[Symbol.asyncDispose]();
  });

  test("one is found, changed and deleted", { timeout: 120_000 }, async () => {
    await at.client.keyvalue.set("greeting", "hello");
    const page = await at.keys();
    await page.getByRole("option", { name: "greeting" }).click();
    await edit(page, "greeting", "hi");
    await save(page);
    await saved(page);
    expect(text(await at.client.keyvalue.get("greeting"))).toBe("hi");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("Deleted greeting").waitFor();
    expect(await at.client.keyvalue.exists("greeting")).toBe(false);
  });
});
