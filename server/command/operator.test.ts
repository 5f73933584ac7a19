import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SLOW } from "../../tests/helpers/commands.ts";
import { freePort } from "../../tests/helpers/port.ts";
import { prism, spawnServer, temporaryFolder } from "../../tests/helpers/process.ts";
import { hashApiKey } from "../auth/api-keys.ts";

const adminOf = (lines: readonly string[]): string =>
  JSON.parse(lines.find((line) => line.includes('"ready"')) ?? "").admin_listen;

test("an operator makes, lists and deletes namespaces, and looks at the stores", SLOW, async () => {
  await using folder = await temporaryFolder();
  await using server = await spawnServer(["--memory"]);
  const admin = adminOf(server.lines);
  const run = (line: string) => prism(line.split(" "), { PRISM_ADMIN: admin });
  const file = join(folder.path, "orders.json");
  await writeFile(file, '{"policies": {"maxRps": "500"}}');
  const made = await run(`ns create orders --backend database --file ${file}`);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(made.stdout)).toMatchObject({ name: "orders", policies: { maxRps: "500" } });
  const listed = await run("ns list");
  expect(listed.stdout.split("\n").flatMap((line) => line && JSON.parse(line).name)).toEqual([
    "default",
    "orders",
    "",
  ]);
  expect(JSON.parse((await run("ns get orders")).stdout)).toMatchObject({ backend: "database" });
  expect(await run("ns create orders")).toMatchObject({ code: 1, stderr: expect.stringContaining("orders") });
  expect(await run("ns create UPPER")).toMatchObject({ code: 2, stdout: "" });
  expect(await run("ns get none")).toMatchObject({ code: 4, stdout: "" });
  expect(await run("ns delete orders")).toEqual({
    code: 2,
    stdout: "",
    stderr: "prism: all data of the namespace is lost; give its name once more: --confirm orders\n",
  });
  expect(await run("ns delete orders --confirm orders")).toMatchObject({ code: 0, stderr: "" });
  const [backend = ""] = (await run("backends")).stdout.split("\n");
  expect(JSON.parse(backend)).toMatchObject({ type: "memory", state: "BACKEND_STATE_SERVING" });
});

test("a wrong admin address, and a missing key, are told apart", SLOW, async () => {
  await using folder = await temporaryFolder();
  const key = "an-own-key.of-24-letters";
  const config = join(folder.path, "prism.yaml");
  await writeFile(
    config,
    `auth:
  api_keys: [{name: a, hash: "${hashApiKey(key)}", roles: [r]}]
  roles: [{name: r, admin_role: viewer}]
`,
  );
  await using server = await spawnServer(["--memory", "--config", config]);
  const admin = adminOf(server.lines);
  const list = (at: string, PRISM_ADMIN_KEY = "") => prism(["backends", "--admin", at], { PRISM_ADMIN_KEY });
  expect(await list(admin)).toMatchObject({ code: 6, stdout: "" });
  expect(await list(admin, key)).toMatchObject({ code: 0, stderr: "" });
  const closed = `127.0.0.1:${await freePort()}`;
  const nobody = await list(closed);
  expect(nobody).toMatchObject({ code: 5, stdout: "" });
  expect(nobody.stderr).toContain(`no gateway answers at ${closed}: ECONNREFUSED\ncheck that it runs`);
  expect(await list(server.address, key)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("check that it is a gateway's admin port"),
  });
  expect(await list("nowhere")).toMatchObject({ code: 2, stdout: "" });
});
