/** Whether the gateway of the files in deploy/ starts, and answers where they say. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { canStartPostgres, startPostgres } from "./helpers/postgres.ts";
import { MAIN, prism, spawnServer, temporaryFolder } from "./helpers/process.ts";

const DEPLOY = join(import.meta.dirname, "../deploy");
/** After its grace time a gateway has so long to close its stores. */
const CLOSE_SECONDS = 5;

const textOf = (file: string) => readFile(join(DEPLOY, file), "utf8");

/** The objects of the manifests, by their kinds. */
async function manifests() {
  const objects = parseAllDocuments(await textOf("kubernetes/prism.yaml")).map((each) => each.toJS());
  const kinds = new Map(objects.map((each) => [each.kind, each]));
  const pod = kinds.get("Deployment").spec.template.spec;
  return { config: kinds.get("ConfigMap").data["prism.yaml"], pod, container: pod.containers[0] };
}

test("the chart has the version of the gateway", async () => {
  const { version } = JSON.parse(await readFile(join(DEPLOY, "../package.json"), "utf8"));
  expect(parse(await textOf("helm/prism/Chart.yaml"))).toMatchObject({ version, appVersion: version });
});

describe.runIf(canStartPostgres())("on PostgreSQL", () => {
  test("the gateway of the manifests starts, and answers their probes without credentials", async () => {
    const { config, pod, container } = await manifests();
    await using postgres = await startPostgres();
    await using folder = await temporaryFolder();
    const file = join(folder.path, "prism.yaml");
    await writeFile(file, config);
    const [key = "", hash = ""] = (await prism(["auth", "hash"])).stdout
      .split("\n")
      .map((line) => line.slice("key:  ".length));
    const env = { DATABASE_URL: postgres.url, OPERATOR_KEY_HASH: hash };
    await using server = await spawnServer(["--config", file], MAIN, [], process.execPath, env);

    for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
      const { path, port, scheme } = container[probe].httpGet;
      const { containerPort } = container.ports.find(({ name }: { name: string }) => name === port);
      expect([containerPort, scheme]).toEqual([
        Number(parse(config).admin.listen_address.split(":")[1]),
        "HTTP",
      ]);
      expect((await fetch(`${server.adminUrl}${path}`)).status).toBe(200);
    }
    const call = (...words: string[]) => prism(words, { PRISM_ADDRESS: server.address, PRISM_TOKEN: key });
    expect(await call("set", "k", "v")).toMatchObject({ code: 0 });
    expect(await prism(["get", "k"], { PRISM_ADDRESS: server.address })).toMatchObject({ code: 6 });

    const preStop = Number(container.lifecycle.preStop.exec.command[1]);
    const graceSeconds = parse(config).server.shutdown_grace_ms / 1000;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(preStop + graceSeconds + CLOSE_SECONDS);
  });

  test("a Service of the name prism sets no port, because the manifests turn that off", async () => {
    const { pod } = await manifests();
    expect(pod.enableServiceLinks).toBe(false);
    const refused = await prism(["serve", "--memory"], { PRISM_PORT: "tcp://10.0.0.1:8980" });
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("PRISM_PORT") });
  });

  test("the gateway of the compose file starts", async () => {
    await using postgres = await startPostgres();
    const args = ["--config", join(DEPLOY, "compose/prism.yaml")];
    const env = { DATABASE_URL: postgres.url };
    await using server = await spawnServer(args, MAIN, [], process.execPath, env);
    expect(await (await fetch(`${server.adminUrl}/health`)).json()).toMatchObject({
      namespaces: { default: { backend: "postgres", status: "serving" } },
    });
  });
});
