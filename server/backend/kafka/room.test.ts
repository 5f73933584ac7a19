/** A whole gateway on a real Kafka: what it takes at its start, and what callers see of topics. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTopicsV7 } from "@platformatic/kafka";
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { createApp } from "../../app.ts";
import { loadConfig } from "../../config/load.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";

let prefixes = 0;

describe.runIf(hasSharedKafka())("a gateway on Kafka", { timeout: 60_000 }, () => {
  let prefix = "";
  let kafka = "";

  beforeEach(async () => {
    const { addresses } = await sharedKafka();
    prefix = `room-${process.pid}-${++prefixes}.`;
    kafka = `{type: kafka, brokers: ${JSON.stringify(addresses)}, topic_prefix: ${prefix}}`;
  });

  async function makeApp(yaml: string) {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "prism.yaml");
    await writeFile(file, yaml);
    const flags = { listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" };
    const config = loadConfig({ file, env: {}, flags, cwd: folder.path });
    return await createApp(config, { log: pino({ level: "silent" }) });
  }

  test("does not start with a namespace for keys and values there, and says what to do", async () => {
    const message =
      "is for keys and values, and its kafka backend keeps none: give it another backend, or pattern: timeseries if it is for streams of events";
    for (const [yaml, name] of [
      [`database: ${kafka}`, "default"],
      [`database: {type: memory}\nbackends: {k: ${kafka}}\nnamespaces: [{name: n, backend: k}]`, "n"],
    ]) {
      const app = await makeApp(yaml ?? "");
      await expect(app.start()).rejects.toThrow(`namespace "${name}" ${message}`);
      await app.stop();
    }
  });

  test("serves streams, and tells of a topic that somebody else made", async () => {
    const app = await makeApp(
      `database: {type: memory}\nbackends: {k: ${kafka}}\nnamespaces: [{name: n, backend: k, pattern: timeseries}]`,
    );
    const { data } = await app.start();
    async function ask(call: string, request: object): Promise<unknown> {
      const url = `http://127.0.0.1:${data?.port}/prism.timeseries.v1.TimeSeriesService/${call}`;
      const body = JSON.stringify({ namespace: "n", ...request });
      const reply = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      return await reply.json();
    }
    try {
      const event = { payload: "AQID", tags: { a: "b" } };
      expect(await ask("Append", { stream: "eu/web", event })).toMatchObject({ offset: "0" });
      expect(await ask("Append", { stream: "eu/web", event })).toMatchObject({ offset: "1" });
      expect(await ask("DescribeStream", { stream: "eu/web" })).toMatchObject({
        config: { partitions: 1, replicationFactor: 1 },
        nextOffset: "2",
      });
      expect(await ask("Append", { stream: "x".repeat(300), event })).toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("Kafka takes 249 characters"),
      });
      await makeTopic(`${prefix}n__theirs`, [{ name: "retention.ms", value: "43200000" }]);
      await expect
        .poll(() => ask("DescribeStream", { stream: "theirs" }))
        .toMatchObject({ config: { retentionDays: 1, partitions: 2 } });
    } finally {
      await app.stop();
    }
  });

  async function makeTopic(name: string, configs: { name: string; value: string }[]): Promise<void> {
    const { addresses } = await sharedKafka();
    const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: addresses }));
    await cluster.open();
    const topic = { name, numPartitions: 2, replicationFactor: 1, assignments: [], configs };
    await createTopicsV7.api.async(await cluster.anyConnection("admin"), [topic], 5_000, false);
    await cluster.close();
  }
});
