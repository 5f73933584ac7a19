/** Namespaces in the console: found, made, deleted, and deleted by somebody else. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGrpcTransport } from "../../client/node.ts";
import { NamespaceService } from "../../gen/prism/control/v1/namespace_pb.ts";
import { canOpenConsole, useBrowser, viewAt, visit } from "../helpers/console.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

describe.runIf(canOpenConsole())("namespaces", () => {
  const browser = useBrowser();
  let server: TestServer;

  beforeAll(async () => {
    // Nobody else has to hear of a deletion, and no call is under way for long.
    server = await startTestServer({ deletionTimes: { drainMs: 100, othersMs: 0, retryMs: 100 } });
  });

  afterAll(() => server.stop());

  const control = () => {
    const transport = createGrpcTransport({ baseUrl: server.adminUrl });
    return Object.assign(createClient(NamespaceService, transport), {
      [Symbol.asyncDispose]: async () => transport.close(),
    });
  };

  test("an empty gateway says what to do first, and the line works", async () => {
    const page = await visit(browser(), server.adminUrl);
    await page.getByText("Nothing is stored yet").waitFor();
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    const line = String(await page.evaluate("navigator.clipboard.readText()"));
    const { stdout } = await promisify(execFile)("sh", ["-c", line]);
    expect(stdout).toBe('{"success":true}');
    await page.getByText("Nothing is stored yet").waitFor({ state: "hidden" });
    await page.getByRole("cell", { name: "1", exact: true }).waitFor();
  });

  test("one is made, found by its name, and deleted by typing its name", async () => {
    const page = await visit(browser(), server.adminUrl);
    await page.getByRole("button", { name: "New namespace" }).click();
    const dialog = page.getByRole("dialog", { name: "New namespace" });
    await dialog.getByRole("textbox", { name: "Name" }).fill("orders");
    await dialog.getByRole("button", { name: "Make it" }).click();
    await page.getByRole("heading", { name: "orders", level: 1 }).waitFor();
    // At once: nothing says that there is none.
    expect(await page.getByRole("navigation", { name: "Parts of the namespace" }).isVisible()).toBe(true);

    await page.getByRole("link", { name: "Overview", exact: true }).click();
    await page.getByRole("searchbox", { name: "Find a namespace" }).fill("ord");
    await page.getByText("1 of 2").waitFor();
    await page.getByRole("link", { name: "orders" }).click();
    await page.getByRole("link", { name: "About" }).click();
    await page.getByRole("button", { name: "Delete namespace" }).click();
    const question = page.getByRole("dialog", { name: "Delete the namespace orders?" });
    // Without its name nothing happens.
    await question.getByRole("button", { name: "Delete it" }).click();
    await question.getByRole("textbox").fill("orders");
    await question.getByRole("button", { name: "Delete it" }).click();
    await page.getByRole("alert").getByText("was deleted").waitFor();
  });

  test("a name that is taken is said where it was typed, and what was typed stays", async () => {
    const page = await visit(browser(), server.adminUrl);
    await page.getByRole("button", { name: "New namespace" }).click();
    const dialog = page.getByRole("dialog", { name: "New namespace" });
    await dialog.getByRole("textbox", { name: "Name" }).fill("default");
    await dialog.getByRole("button", { name: "Make it" }).click();
    await dialog.getByRole("alert").waitFor();
    expect(await dialog.getByRole("textbox", { name: "Name" }).inputValue()).toBe("default");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
  });

  test("what another makes appears, and one that another deletes while it is open says so", async () => {
    const page = await visit(browser(), server.adminUrl);
    await page.getByRole("link", { name: "default", exact: true }).waitFor();
    await using other = control();
    const { namespace } = await other.createNamespace({ namespace: { name: "theirs", backend: "database" } });
    await page.getByRole("link", { name: "theirs" }).click();
    await page.getByRole("heading", { name: "theirs", level: 1 }).waitFor();
    await other.deleteNamespace({
      namespace: "theirs",
      confirmNamespace: "theirs",
      version: namespace?.version ?? 0n,
    });
    await page.getByRole("alert").getByText("was deleted").waitFor();
    await page.getByRole("link", { name: "To the overview" }).click();
    await page.getByRole("link", { name: "default", exact: true }).waitFor();
    expect(await page.getByRole("link", { name: "theirs" }).count()).toBe(0);
  });

  test("one that was never there, or no page at all, leads back", async () => {
    const page = await visit(browser(), viewAt(server.adminUrl, "/ns/nobody/keys"));
    await page.getByText("There is no namespace of this name").waitFor();
    await page.goto(viewAt(server.adminUrl, "/nonsense/%E0%A4%A"));
    await page.getByRole("heading", { name: "There is no such page" }).waitFor();
    await page.getByRole("link", { name: "The overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
  });
});
