/** Who looks at the console: sign-in, what a role may not do, and a gateway that is away. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import type { AuthSettings } from "../../server/auth/settings.ts";
import type { Config } from "../../server/config/config.ts";
import { canOpenConsole, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { freePort } from "../helpers/port.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { authSettings, createKey, role } from "../helpers/tokens.ts";

const LONG = { timeout: 120_000 };
const grant = (permissions: readonly ("read" | "write")[]) => [
  { namespaces: "*", permissions, keyPrefix: "", methods: undefined },
];
const writer = createKey("writer", ["writers"]);
const reader = createKey("reader", ["readers"]);
const keyOf = ({ bearer }: { readonly bearer: string }) => bearer.replace("Bearer ", "");

/** Everybody's keys; that of the writer is good until then. */
const settings = (writerUntilMs?: number): AuthSettings =>
  authSettings({
    apiKeys: [{ ...writer.settings, expiresAtMs: writerUntilMs }, reader.settings],
    roles: [
      role("writers", { grants: grant(["read", "write"]), adminRole: "viewer" }),
      role("readers", { grants: grant(["read"]), adminRole: "viewer" }),
    ],
  });

describe.runIf(canOpenConsole())("with auth", () => {
  const browser = useBrowser();
  let server: TestServer;
  let client: PrismClient;
  let config: Config;

  beforeAll(async () => {
    server = await startTestServer({
      adjust: (defaults) => {
        config = { ...defaults, auth: settings() };
        return config;
      },
    });
    client = new PrismClient(server.address, { credentials: keyOf(writer) });
    await client.keyvalue.set("greeting", "hello");
    await client.records.put("user:1", [{ key: "name", value: "alice" }]);
    await client.timeseries.append("logins", "bob");
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  const greeting = () => viewAt(server.adminUrl, "/ns/default/keys?key=greeting");

  test("a wrong key is said at once, a right one shows what was asked for", LONG, async () => {
    const page = await visit(browser(), greeting());
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.getByLabel("API key or token").fill("prism_wrong");
    await dialog.getByRole("button", { name: "Sign in" }).click();
    await dialog.getByRole("alert").waitFor();
    await dialog.getByLabel("API key or token").fill(keyOf(writer));
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Value" }).getByText("hello").waitFor();
    expect(await dialog.count()).toBe(0);

    await page.getByRole("button", { name: "Sign out" }).click();
    await dialog.waitFor();
    expect(await page.content()).not.toContain(keyOf(writer));
  });

  test("who may only read is offered no change", LONG, async () => {
    const page = await visit(browser(), greeting());
    await page.getByLabel("API key or token").fill(keyOf(reader));
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Value" }).getByText("hello").waitFor();
    await page.getByText("Your role may read this namespace").waitFor();
    for (const name of ["Edit", "Delete", "Change expiry"]) {
      expect(await page.getByRole("button", { name, exact: true }).count()).toBe(0);
    }
    await page.getByRole("link", { name: "Records" }).click();
    await page.getByRole("option", { name: "user:1" }).click();
    await page.getByRole("option", { name: "name" }).click();
    await page.getByRole("region", { name: "Value" }).getByText("alice").waitFor();
    expect(await page.getByRole("link", { name: "New record" }).count()).toBe(0);
    for (const name of ["Edit", "Delete", "New item", "Delete record …"]) {
      expect(await page.getByRole("button", { name, exact: true }).count()).toBe(0);
    }
    await page.getByRole("link", { name: "Streams" }).click();
    await page.getByRole("option", { name: "logins" }).click();
    await page.getByRole("listbox", { name: "Events" }).getByText("bob").waitFor();
    for (const name of ["Append an event", "Delete stream …"]) {
      expect(await page.getByRole("button", { name, exact: true }).count()).toBe(0);
    }
    await page.getByRole("link", { name: "Overview", exact: true }).click();
    await page.getByRole("link", { name: "default", exact: true }).waitFor();
    expect(await page.getByRole("button", { name: "New namespace" }).count()).toBe(0);
  });

  test(
    "who may write and not administer appends to a stream, and is offered no end of it",
    LONG,
    async () => {
      const page = await visit(browser(), viewAt(server.adminUrl, "/ns/default/streams?name=logins"));
      await page.getByLabel("API key or token").fill(keyOf(writer));
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Append an event" }).waitFor();
      await page.getByRole("listbox", { name: "Events" }).getByText("bob").waitFor();
      // Until the page knows who looks it offers everything.
      await page.getByRole("button", { name: "Delete stream …" }).waitFor({ state: "detached" });
      await page.getByRole("link", { name: "New stream" }).click();
      await page.getByRole("textbox", { name: "Name", exact: true }).fill("made-by-event");
      await page.getByRole("textbox", { name: "Payload" }).fill("first");
      await page.getByRole("button", { name: "Append", exact: true }).click();
      await page.getByRole("heading", { name: "made-by-event" }).waitFor();
      await page.getByRole("listbox", { name: "Events" }).getByText("first").waitFor();
    },
  );

  test("a key that expires in the middle of an edit loses nothing of it", LONG, async () => {
    const page = await visit(browser(), greeting());
    await page.getByLabel("API key or token").fill(keyOf(writer));
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    const field = page.getByRole("textbox", { name: "Value of greeting" });
    await field.fill("typed before");
    await server.apply({ ...config, auth: settings(1) });
    await page.getByRole("button", { name: "Save" }).click();
    const dialog = page.getByRole("dialog", { name: "Sign in" });
    await dialog.waitFor();
    await server.apply({ ...config, auth: settings() });
    await dialog.getByLabel("API key or token").fill(keyOf(writer));
    await page.keyboard.press("Enter");
    await dialog.waitFor({ state: "hidden" });
    expect(await field.inputValue()).toBe("typed before");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved", { exact: true }).waitFor();
    expect(Buffer.from(await client.keyvalue.get("greeting")).toString()).toBe("typed before");
  });
});

describe.runIf(canOpenConsole())("a gateway that is away", () => {
  const browser = useBrowser();

  test("is said, and the page goes on with what was typed when it is back", LONG, async () => {
    const port = await freePort();
    const start = () =>
      startTestServer({
        adjust: (config) => ({ ...config, admin: { ...config.admin, listen: { host: "127.0.0.1", port } } }),
      });
    const first = await start();
    const page = await visit(browser(), viewAt(first.adminUrl, "/ns/default/keys"));
    await page.getByRole("link", { name: "New key" }).click();
    await page.getByLabel("Key", { exact: true }).fill("kept");
    await page.getByRole("textbox", { name: "Value", exact: true }).fill("typed");
    await first.stop();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("The gateway does not answer").first().waitFor();
    await using second = await start();
    await page.getByText("The gateway does not answer.").first().waitFor({ state: "hidden" });
    expect(await page.getByLabel("Key", { exact: true }).inputValue()).toBe("kept");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "kept" }).waitFor();
    await using client = new PrismClient(second.address);
    expect(Buffer.from(await client.keyvalue.get("kept")).toString()).toBe("typed");
  });
});
