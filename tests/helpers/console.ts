/** The console in a real browser, and a person in front of it. */
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { CHROMIUM, canStartChromium } from "./chromium.ts";
import { isThere } from "./is-there.ts";

const ROOT = new URL("../../", import.meta.url);
const BUILT = fileURLToPath(new URL("dist-console/", ROOT));
const AXE = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** Whether tests can look at the console; reports it if not. */
export const canOpenConsole = (): boolean =>
  canStartChromium() &&
  isThere("The built console", existsSync(join(BUILT, "index.html")), "`make console` builds it");

/** Far more than anything takes, so that a busy machine fails no test. */
const WAIT_MS = 30_000;

/** Starts a browser. Only if {@link canOpenConsole}. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM ?? "",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
  });
}

/** A browser for the tests of a file or of a `describe`; it is there while they run. */
export function useBrowser(): () => Browser {
  let browser: Browser | undefined;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());
  return () => {
    if (browser === undefined) {
      throw new Error("the browser is there within tests only");
    }
    return browser;
  };
}

/** The bytes in gzip, as the server sends them, that a browser loads before it draws a view. */
export function firstLoadBytes(): number {
  const page = readFileSync(join(BUILT, "index.html"), "utf8");
  const assets = [...page.matchAll(/(?:src|href)="\/console\/([^"]+)"/g)].map(([, name = ""]) => name);
  const sizes = ["index.html", ...assets].map((name) => statSync(join(BUILT, `${name}.gz`)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Who looks, and with what. */
export interface VisitOptions {
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** False: a browser that runs no script. */
  readonly javaScript?: boolean;
  /** True: a screen that is touched. */
  readonly touch?: boolean;
}

/**
 * Opens the console in a window with a memory of its own. The window is closed when the test ends;
 * the test fails if the page threw, wrote an error to its console, broke its content security
 * policy or lacked one of its files.
 */
export async function visit(browser: Browser, url: string, options: VisitOptions = {}): Promise<Page> {
  const { width = 1440, height = 900, dark = false, javaScript = true, touch = false } = options;
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    javaScriptEnabled: javaScript,
    hasTouch: touch,
    permissions: ["clipboard-read", "clipboard-write"],
    acceptDownloads: true,
  });
  context.setDefaultTimeout(WAIT_MS);
  const faults = watchFaults(context);
  onTestFinished(async () => {
    await context.close();
    expect(faults, "faults of the page").toEqual([]);
  });
  const page = await context.newPage();
  await page.goto(url);
  return page;
}

/** What the browser says of an answer that is no success. Calls of the page may fail. */
const FAILED_CALL = /^Failed to load resource: /;

function watchFaults(context: BrowserContext): string[] {
  const faults: string[] = [];
  context.on("weberror", (error) => faults.push(String(error.error().stack ?? error.error())));
  context.on("console", (message) => {
    if (message.type() === "error" && !FAILED_CALL.test(message.text())) {
      faults.push(message.text());
    }
  });
  context.on("response", (response) => {
    if (/^\/(console\/.*)?$/.test(new URL(response.url()).pathname) && response.status() >= 400) {
      faults.push(`${response.url()}: ${response.status()}`);
    }
  });
  return faults;
}

/** A view of the console: the part of its address behind `#`. */
export const viewAt = (url: string, path: string): string => `${new URL(url).origin}/#${path}`;

/** The views' widths: a desk, a tablet, a phone. */
const WIDTHS = [
  [1440, 900],
  [1024, 768],
  [390, 844],
] as const;

/** Where pictures of the views are kept. */
export function screenshotFolder(): string {
  const folder = process.env.PRISM_SCREENSHOTS ?? join(tmpdir(), "prism-screenshots");
  mkdirSync(folder, { recursive: true });
  return folder;
}

/**
 * Looks at a view in each width, dark and light. Keeps a picture of each, and answers what is
 * wrong: serious findings of axe (https://github.com/dequelabs/axe-core), and what is wider than
 * the window.
 */
export async function inspect(page: Page, name: string, settled: Locator): Promise<string[]> {
  const problems: string[] = [];
  for (const [width, height] of WIDTHS) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await settled.first().waitFor();
      const picture = join(screenshotFolder(), `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path: picture });
      const where = `${name}, ${width} px, ${colorScheme}`;
      problems.push(...(await seriousFindings(page)).map((finding) => `${where}: ${finding}`));
    }
    const tooWide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
    if (Number(tooWide) > 0) {
      problems.push(`${name}, ${width} px: ${tooWide} px wider than the window`);
    }
  }
  return problems;
}

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
}

/** What axe calls serious or critical. */
export async function seriousFindings(page: Page): Promise<string[]> {
  // It is put in by the debugger: the page's policy lets no other script in.
  await page.evaluate(AXE);
  const findings = (await page.evaluate("axe.run().then(({ violations }) => violations)")) as Finding[];
  return findings
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html} ${failureSummary}`),
    );
}
