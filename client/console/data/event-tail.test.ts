import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { PrismClient, type Tags } from "../../web.ts";
import { EventTail, MOST_EVENTS } from "./event-tail.ts";

let server: TestServer;
let client: PrismClient;
beforeAll(async () => {
  server = await startTestServer();
  client = new PrismClient(server.baseUrl);
});
afterAll(async () => {
  await client.close();
  await server[Symbol.asyncDispose]();
});

function tailOf(stream: string, tags: Tags = {}): EventTail {
  const tail = new EventTail(client.timeseries, stream, tags, () => {});
  onTestFinished(() => tail.stop());
  return tail;
}

const offsets = (tail: EventTail) => tail.rows.map(({ offset }) => offset);
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

async function append(stream: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 1000) {
    await client.timeseries.appendBatch(
      stream,
      Array.from({ length: Math.min(left, 1000) }, () => ({ payload: "e" })),
    );
  }
}

test("a few of the last events come first, then those that come", async () => {
  await append("new", 50);
  const tail = tailOf("new");
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual(range(30, 50)));
  await append("new", 2);
  await waitFor(() => expect(offsets(tail)).toEqual(range(30, 52)));
});

test("it goes on behind the last event, and skips what it would not keep", async () => {
  await append("gone-on", 1);
  const tail = tailOf("gone-on");
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual([0]));
  tail.stop();
  await append("gone-on", 5);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual(range(0, 6)));
  expect(tail.skipped).toBe(0);
  tail.stop();
  await append("gone-on", MOST_EVENTS + 10);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual(range(16, 16 + MOST_EVENTS)));
  expect(tail.skipped).toBe(10);
});

test("with tags nothing is skipped, however many others come", async () => {
  const tags = { room: "attic" };
  await client.timeseries.append("tagged", "e", { tags });
  const tail = tailOf("tagged", tags);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual([0]));
  tail.stop();
  await client.timeseries.append("tagged", "e", { tags });
  await append("tagged", 2 * MOST_EVENTS);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual([0, 1]));
  expect(tail.skipped).toBe(0);
});

test("few events are kept", async () => {
  await append("many", 1);
  const tail = tailOf("many");
  tail.start();
  await waitFor(() => expect(tail.rows).toHaveLength(1));
  await append("many", 3 * MOST_EVENTS);
  await waitFor(() => expect(tail.rows.at(-1)?.offset).toBe(3 * MOST_EVENTS));
  expect(offsets(tail)).toEqual(range(2 * MOST_EVENTS + 1, 3 * MOST_EVENTS + 1));
});

test("a stream that is not there is told of, and tried again", async () => {
  const tail = tailOf("absent");
  tail.start();
  await waitFor(() => expect(tail.problem).toMatchObject({ reason: "stream_not_found" }));
  await append("absent", 1);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual([0]));
  expect(tail.problem).toBeUndefined();
});

test("a stream that is made again begins anew", async () => {
  await append("remade", 9);
  const tail = tailOf("remade");
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual(range(0, 9)));
  await client.timeseries.deleteStream("remade");
  await waitFor(() => expect(tail.problem).toMatchObject({ reason: "stream_not_found" }));
  await append("remade", 2);
  tail.start();
  await waitFor(() => expect(offsets(tail)).toEqual([0, 1]));
});

test("it says that the gateway is lost, and goes on when it is back", async () => {
  const away = new PrismClient("http://127.0.0.1:1");
  onTestFinished(() => away.close());
  const timeseries = {
    isAway: true,
    describeStream: client.timeseries.describeStream,
    tail(...args: Parameters<typeof client.timeseries.tail>) {
      return this.isAway
        ? away.timeseries.tail(args[0], { ...args[1], fromOffset: "end" })
        : client.timeseries.tail(...args);
    },
  };
  await append("lost", 1);
  const tail = new EventTail(timeseries, "lost", {}, () => {});
  onTestFinished(() => tail.stop());
  tail.start();
  await waitFor(() => expect(tail.isLost).toBe(true));
  expect(tail.problem).toBeUndefined();
  timeseries.isAway = false;
  await waitFor(() => expect(offsets(tail)).toEqual([0]));
  expect(tail.isLost).toBe(false);
});
