/**
 * How fast is the console over 1,000,000 keys on SQLite, and what does an open one cost the server?
 * A real Chromium and the server share the cores: a browser is several processes, and has more than
 * one core wherever people have one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { canOpenConsole, firstLoadBytes, startBrowser } from "../tests/helpers/console.ts";
import { fillStore } from "../tests/helpers/fill.ts";
import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { median, report, rounded, writeReport } from "./harness/report.ts";

const KEYS = 1_000_000;
const ROUNDS = 5;
/** How long an open overview is watched. */
const WATCHED_MS = 20_000;
/** Of the scroll bar's way from top to middle. */
const STEPS = 100;
/** Half of the keys are read on the way to the middle. */
const JUMP_TIMEOUT_MS = 60_000;

/** Notes when the page first shows what a selector finds, in milliseconds of the page's clock. */
const FIRST_SEEN = `
  globalThis.firstSeen = {};
  new MutationObserver(() => {
    for (const [name, selector] of Object.entries({ heading: "h1", key: "[role=option] .key" })) {
      if (firstSeen[name] === undefined && document.querySelector(selector)?.textContent) {
        firstSeen[name] = 0;
        requestAnimationFrame(() => { firstSeen[name] = performance.now(); });
      }
    }
  }).observe(document, { childList: true, subtree: true, characterData: true });
  globalThis.longestFrameMs = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      longestFrameMs = Math.max(longestFrameMs, duration);
    }
  }).observe({ type: "long-animation-frame" });`;

/** A window with nothing cached. */
async function open(browser: Browser, url: string): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await context.addInitScript(FIRST_SEEN);
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** Milliseconds from the start of loading until `what` is drawn. */
async function seenMs(page: Page, what: "heading" | "key"): Promise<number> {
  // The page's policy forbids `waitForFunction`, which evaluates a string in the page.
  for (;;) {
    const ms = Number(await page.evaluate(`firstSeen.${what} ?? 0`));
    if (ms > 0) {
      return Math.round(ms);
    }
    await pause(20);
  }
}

/** Scrolls from the top to the middle in steps of one frame, and waits for the keys there. */
async function scrollToMiddle(page: Page): Promise<number> {
  // The list is as high as its keys are many once they are counted.
  await page.locator(`[role=option][aria-setsize="${KEYS}"]`).first().waitFor();
  await page.evaluate("longestFrameMs = 0");
  await page.evaluate(`new Promise((resolve) => {
    const list = document.querySelector("[role=listbox]");
    const middle = (list.scrollHeight - list.clientHeight) / 2;
    let step = 0;
    const move = () => {
      list.scrollTop = (middle * ++step) / ${STEPS};
      step < ${STEPS} ? requestAnimationFrame(move) : resolve();
    };
    requestAnimationFrame(move);
  })`);
  await page.getByRole("option", { name: keyOf(KEYS / 2) }).waitFor({ timeout: JUMP_TIMEOUT_MS });
  return Math.round(Number(await page.evaluate("longestFrameMs")));
}

const keyOf = (i: number) => `user:${String(i).padStart(7, "0")}`;

/** The CPU that a process used, by https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  // utime and stime, in hundredths of a second.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function ask(): Promise<void> {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "prism.db");
  await fillStore({ type: "sqlite", path }, KEYS, (i) => [keyOf(i), Buffer.from(`{"id":${i}}`)]);
  await using browser = await startBrowser();
  const runs: Record<string, number[]> = { drawn: [], key: [], frame: [], middle: [] };
  for (let round = 0; round < ROUNDS; round++) {
    // A server that nobody has asked anything.
    await using server = await spawnServer(["--data-dir", folder.path]);
    const page = await open(browser, `${server.adminUrl}/`);
    runs.drawn?.push(await seenMs(page, "heading"));
    await page.context().close();
    const keys = await open(browser, `${server.adminUrl}/#/ns/default/keys`);
    runs.key?.push(await seenMs(keys, "key"));
    const fromMs = performance.now();
    runs.frame?.push(await scrollToMiddle(keys));
    runs.middle?.push(Math.round(performance.now() - fromMs));
    await keys.context().close();
  }
  const row = (times: readonly number[] = []) => ({
    "median ms": median(times),
    "max ms": Math.max(...times),
  });
  report(
    `The console over ${KEYS} keys`,
    {
      "from opening the address of a new server to the page drawn": row(runs.drawn),
      "from opening the address to the first key": row(runs.key),
      "longest frame on the way to the middle (0: none over 50)": row(runs.frame),
      "from the top until the keys of the middle are there": row(runs.middle),
    },
    runs,
  );

  await using server = await spawnServer(["--data-dir", folder.path]);
  const { pid = 0 } = server.child;
  const page = await open(browser, `${server.adminUrl}/`);
  await seenMs(page, "heading");
  // What opening it costs is over by then.
  await pause(5000);
  const before = cpuSeconds(pid);
  await pause(WATCHED_MS);
  const used = cpuSeconds(pid) - before;
  await page.context().close();
  const idleBefore = cpuSeconds(pid);
  await pause(WATCHED_MS);
  const idle = cpuSeconds(pid) - idleBefore;
  const share = (seconds: number) => ({ "% of a core": rounded((seconds * 100_000) / WATCHED_MS) });
  report(
    "What an open overview costs the server",
    { "an open overview": share(used), nobody: share(idle) },
    { used, idle },
  );
  const bytes = { "bytes gzipped": firstLoadBytes() };
  report("First load of the page", { all: bytes }, bytes);
}

if (canOpenConsole()) {
  await ask();
  writeReport("console");
} else {
  process.exitCode = 1;
}
