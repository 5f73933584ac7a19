/**
 * `make kafka-run`: a Kafka on port 9092, or on the port that is given, until Ctrl-C; without the
 * data of an earlier one. With `archive` it ends at once, and leaves the archive of classes that
 * makes later starts shorter.
 */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { KAFKA_ARCHIVE, startKafka } from "./kafka.ts";

const [, , argument = "9092"] = process.argv;
const isArchiving = argument === "archive";
if (isArchiving) {
  await rm(KAFKA_ARCHIVE, { force: true });
}
await using kafka = await startKafka(
  isArchiving ? { javaFlags: [`-XX:ArchiveClassesAtExit=${KAFKA_ARCHIVE}`] } : { port: Number(argument) },
);
if (isArchiving) {
  await Promise.all(kafka.nodes.map((node) => node.stop()));
} else {
  for (const node of kafka.nodes) {
    console.log(`Kafka answers at ${node.address}; process ${node.pid()}, data in ${node.directory}`);
  }
  await Promise.race(["SIGINT", "SIGTERM"].map((signal) => once(process, signal)));
}
