import { EventEmitter, once } from "node:events";
import http, { type ServerResponse } from "node:http";
import http2 from "node:http2";
import { text } from "node:stream/consumers";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { startPlane } from "../../tests/helpers/plane.ts";
import { until } from "../../tests/helpers/until.ts";
import { createScraper, MAX_WAITING_SCRAPES } from "./scrape.ts";

test("a text that takes long is made in many turns of the event loop", async () => {
  let turns = 0;
  let isOver = false;
  const seen: number[] = [];
  const watch = (async () => {
    for (; !isOver; turns++) {
      await nextTurn();
    }
  })();
  const scrape = createScraper(function* () {
    for (let i = 0; i < 5; i++) {
      for (const untilMs = performance.now() + 3; performance.now() < untilMs; ) {
        // Works.
      }
      seen.push(turns);
      yield `${i}\n`;
    }
  });
  expect(await text(await scrape(undefined))).toBe("0\n1\n2\n3\n4\n");
  isOver = true;
  await watch;
  // The watch had its turn between any two pieces.
  expect(new Set(seen).size).toBe(seen.length);
});

test("one text is made at a time, and the next when its reader has it or leaves", async () => {
  const begun: string[] = [];
  const scrape = createScraper((kind: string) => {
    begun.push(kind);
    return [kind];
  });
  const [one, two, three] = [scrape("one"), scrape("two"), scrape("three")];
  await nextTurn();
  expect(begun).toEqual(["one"]);
  (await one).destroy();
  expect(await text(await two)).toBe("two");
  expect(await text(await three)).toBe("three");
  expect(begun).toEqual(["one", "two", "three"]);
});

test("so many wait and no more; one that leaves makes room at once", async () => {
  const scrape = createScraper((kind: string) => [kind]);
  const first = await scrape("first");
  const responses = Array.from({ length: MAX_WAITING_SCRAPES }, () => new EventEmitter());
  const waiting = responses.map((response, i) => scrape(String(i), response));
  const refusal = { reason: "overloaded", retryAfterMs: 30_000 };
  await expect(scrape("refused")).rejects.toMatchObject(refusal);
  responses[3]?.emit("close");
  expect((await waiting[3])?.destroyed).toBe(true);
  waiting[3] = scrape("3");
  await expect(scrape("refused")).rejects.toMatchObject(refusal);
  first.destroy();
  const inOrder = waiting.map((_, i) => i).filter((i) => i !== 3);
  for (const i of [...inOrder, 3]) {
    const stream = await waiting[i];
    expect(stream && (await text(stream))).toBe(String(i));
  }
});

test("a reader that does not read is cut off", async () => {
  const scrape = createScraper((kind: string) => [kind], 1);
  const [[error]] = await Promise.all([once(await scrape("stuck"), "error"), nextTurn()]);
  expect(error).toMatchObject({ message: "the metrics were not read in 1 ms" });
  // The next one has its turn.
  (await scrape("next")).destroy();
});

test("what fails to be made fails for its reader alone", async () => {
  let calls = 0;
  const scrape = createScraper(function* () {
    calls++;
    if (calls === 1) {
      throw new Error("broken");
    }
    yield "whole";
  });
  const [one, two] = [scrape(undefined), scrape(undefined)];
  await expect(text(await one)).rejects.toThrow("broken");
  expect(await text(await two)).toBe("whole");
});

test.each(["engine", "node"] as const)("a reader who leaves makes room for the next, %s", async (h2) => {
  let begun = 0;
  const scrape = createScraper(function* () {
    begun++;
    for (;;) {
      yield "endless\n";
    }
  });
  await using plane = await startPlane({
    http2: h2,
    services: () => [],
    addRoutes(app) {
      app.get("/endless", async (_request, reply) => reply.send(await scrape(undefined, reply.raw)));
    },
  });
  const over1 = http.get(`${plane.baseUrl}/endless`);
  over1.on("error", () => {});
  await once(over1, "response");
  const session = http2.connect(plane.baseUrl);
  const over2 = session.request({ ":path": "/endless" });
  over2.on("error", () => {});
  over1.destroy();
  await once(over2, "response");
  expect(begun).toBe(2);
  over2.close();
  const last = http.get(`${plane.baseUrl}/endless`);
  last.on("error", () => {});
  await until("the third is answered", () => begun === 3);
  last.destroy();
  session.close();
});

test.each(["engine", "node"] as const)(
  "a reader who leaves before its turn holds up nobody, %s",
  async (h2) => {
    let begun = 0;
    const waiting: ServerResponse[] = [];
    const scrape = createScraper(function* () {
      begun++;
      for (;;) {
        yield "endless\n";
      }
    });
    await using plane = await startPlane({
      http2: h2,
      services: () => [],
      addRoutes(app) {
        app.get("/endless", async (_request, reply) => {
          waiting.push(reply.raw);
          return reply.send(await scrape(undefined, reply.raw));
        });
      },
    });
    const first = http.get(`${plane.baseUrl}/endless`);
    first.on("error", () => {});
    await once(first, "response");
    const session = http2.connect(plane.baseUrl);
    const leaver = session.request({ ":path": "/endless" });
    leaver.on("error", () => {});
    await until("it waits", () => waiting.length === 2);
    const left = once(waiting[1] ?? first, "close");
    leaver.close(http2.constants.NGHTTP2_CANCEL);
    await left;
    const last = http.get(`${plane.baseUrl}/endless`);
    last.on("error", () => {});
    await until("the third waits", () => waiting.length === 3);
    const answered = once(last, "response");
    first.destroy();
    await answered;
    // The text for the one that left was not even begun.
    expect(begun).toBe(2);
    last.destroy();
    session.close();
  },
);
