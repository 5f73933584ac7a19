import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Admin, type AdminOptions } from "@platformatic/kafka";
import { describe, expect, onTestFinished, test } from "vitest";
import { present } from "../../server/backend/conformance/harness.ts";
import { CERT, KEY } from "./certificate.ts";
import { canStartKafka, type Kafka, type KafkaOptions, startKafka } from "./kafka.ts";
import { freePort } from "./port.ts";
import { isRunning } from "./process.ts";
import { until } from "./until.ts";

const SLOW = { timeout: 180_000 };

/** Stopped when the test is over. */
async function start(options: KafkaOptions): Promise<Kafka> {
  const kafka = await startKafka(options);
  onTestFinished(() => kafka[Symbol.asyncDispose]());
  return kafka;
}

/** The topics, as a client sees them. */
async function topicsAt(address: string, options: Partial<AdminOptions> = {}): Promise<string[]> {
  const admin = new Admin({ clientId: "t", bootstrapBrokers: [address], retries: 0, ...options });
  try {
    return await admin.listTopics();
  } finally {
    await admin.close();
  }
}

async function createTopic(address: string, name: string): Promise<void> {
  const admin = new Admin({ clientId: "t", bootstrapBrokers: [address] });
  await admin.createTopics({ topics: [name], partitions: 1, replicas: -1 });
  await admin.close();
}

describe.runIf(canStartKafka())("kafka", () => {
  test("users log in, with TLS and without, and nobody else does", SLOW, async () => {
    const { nodes } = await start({ users: { ann: "secret" }, tls: { cert: CERT, key: KEY } });
    const node = present(nodes[0]);
    await createTopic(node.address, "made");
    const tls = { ca: CERT };
    expect(await topicsAt(node.tlsAddress, { tls })).toEqual(["made"]);
    for (const mechanism of ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const) {
      const sasl = { mechanism, username: "ann", password: "secret" };
      expect(await topicsAt(node.saslAddress, { sasl })).toEqual(["made"]);
      expect(await topicsAt(node.saslTlsAddress, { sasl, tls })).toEqual(["made"]);
      const wrong = { ...sasl, password: "wrong" };
      await expect(topicsAt(node.saslAddress, { sasl: wrong })).rejects.toThrow();
    }
    await expect(topicsAt(node.tlsAddress, { tls: {} })).rejects.toThrow();
  });

  test("a node that is killed or stopped is there again with its data and its port", SLOW, async () => {
    const { nodes, addresses } = await start({ nodes: 3 });
    const [first, second] = [present(nodes[0]), present(nodes[1])];
    await createTopic(first.address, "made");
    await first.kill();
    await expect(topicsAt(first.address)).rejects.toThrow();
    expect(await topicsAt(second.address)).toEqual(["made"]);
    await first.start();
    expect(await topicsAt(first.address)).toEqual(["made"]);
    await second.stop();
    await second.start();
    for (const address of addresses) {
      await until("every node knows the topic", async () => (await topicsAt(address)).includes("made"));
    }
  });

  test("it ends with the process that started it", SLOW, async () => {
    const program = fileURLToPath(new URL("kafka-program.ts", import.meta.url));
    const child = spawn(process.execPath, [program, String(await freePort())], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const [, pid, directory = ""] =
      /process (\d+), data in (.+)/.exec((await lines.next()).value ?? "") ?? [];
    expect([isRunning(Number(pid)), existsSync(directory)]).toEqual([true, true]);
    child.kill("SIGKILL");
    await until("the broker is gone", () => !isRunning(Number(pid)) && !existsSync(directory));
  });
});
