import { expect, test } from "vitest";
import { routerOn } from "../../tests/helpers/router.ts";
import { CALL, present, setTexts } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { createKeyValueRange } from "./keyvalue-range.ts";

test("a page does not grow with values that grow while it is read", async () => {
  const backend = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  await backend.open();
  const entries = present(backend.entries);
  const scans = present(backend.scans);
  await setTexts(entries, { a: "1", b: "2", c: "3", d: "4" });
  // Longer than a page each.
  const large = "x".repeat(300_000);
  let growing: Record<string, string> = { b: large, c: large };
  const growsMeanwhile = {
    ...backend,
    scans: {
      ...scans,
      // Tells no times to live, so the entries are read again.
      scanPage: async (...query: Parameters<typeof scans.scanPage>) => {
        const { ttlsMs: _, ...page } = await scans.scanPage(...query);
        await setTexts(entries, growing);
        return page;
      },
    },
  };
  const { readPage } = createKeyValueRange(await routerOn(growsMeanwhile, ["default"]));
  const request = { $typeName: "prism.interfaces.keyvalue.ReadPageRequest" as const };
  const all = { ...request, namespace: "", start: "", end: "", prefix: "", limit: 0 };
  const pages: string[][] = [];
  let pageToken: Uint8Array = new Uint8Array(0);
  do {
    const page = await readPage({ ...all, pageToken }, CALL);
    pages.push((page.entries ?? []).map(({ key, value }) => `${key}${value?.length}`));
    pageToken = page.nextPageToken ?? new Uint8Array(0);
    // The one that is now first grows again.
    growing = pages.length === 1 ? { b: `${large}${large}` } : {};
  } while (pageToken.length > 0);
  expect(pages).toEqual([["a1"], ["b600000"], ["c300000"], ["d1"]]);
});
