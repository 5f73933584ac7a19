import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { folderOnPath } from "./child.ts";
import { isThere } from "./is-there.ts";
import { waitFor } from "./until.ts";

/** A page in a browser. */
export interface Page {
  /** What JavaScript answers in the page; a promise is awaited. Throws what it throws. */
  evaluate(expression: string): Promise<unknown>;
}

/** A headless Chromium. Disposing kills it. */
export interface Chromium extends AsyncDisposable {
  /** Opens a page in a window of its own, so that it is not in the background. */
  open(url: string): Promise<Page>;
  /** Ends it as its user would; otherwise its own log would be incomplete. */
  close(): Promise<void>;
  /** Resolves when it has ended, however. */
  readonly exited: Promise<void>;
}

/** The absolute name of the browser's program; `undefined` = there is none. */
export const CHROMIUM = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => {
    const folder = folderOnPath([name]);
    return folder === undefined ? [] : [join(folder, name)];
  })
  .at(0);

const FLAGS = [
  ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
  ...["--disable-background-networking", "--disable-component-update"],
  // A port of its own choice, which it tells in its profile.
  "--remote-debugging-port=0",
];

/** Whether there is a Chromium; see {@link isThere}. */
export function canStartChromium(): boolean {
  return isThere("Chromium", CHROMIUM !== undefined, "Debian: apt-get install chromium");
}

/** What a browser does not answer in this time it never will. */
const ANSWER_TIMEOUT_MS = 30_000;

/**
 * Starts a browser with an empty profile in the folder `profile`, which it makes. A URL among the
 * flags is its first page.
 */
export async function startChromium(profile: string, flags: readonly string[] = []): Promise<Chromium> {
  const child = spawn(CHROMIUM ?? "chromium", [...FLAGS, ...flags, `--user-data-dir=${profile}`], {
    stdio: "ignore",
  });
  const exited = once(child, "exit").then(() => {});
  const kill = async () => {
    child.kill();
    await exited;
  };
  const send = await connect(profile).catch(async (error: unknown) => {
    await kill();
    throw error;
  });
  return {
    exited,
    async open(url) {
      const { targetId } = await send("Target.createTarget", { url, newWindow: true });
      const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
      return pageOf((method, params) => send(method, params, String(sessionId)));
    },
    async close() {
      // It may end before it has answered.
      await send("Browser.close").catch(() => {});
      await exited;
    },
    [Symbol.asyncDispose]: kill,
  };
}

type Answer = Readonly<Record<string, unknown>>;
type Send = (method: string, params?: object, sessionId?: string) => Promise<Answer>;

/** Calls of https://chromedevtools.github.io/devtools-protocol. */
async function connect(profile: string): Promise<Send> {
  const url = await waitFor(async () => {
    const text = await readFile(join(profile, "DevToolsActivePort"), "utf8");
    const [, port, path] = /^(\d+)\n(\/\S+)/.exec(text) ?? [];
    // It is there before it is written.
    if (port === undefined || path === undefined) {
      throw new Error("the browser has not told its port");
    }
    return new URL(`ws://127.0.0.1:${port}${path}`);
  });
  const socket = new WebSocket(url);
  const waiting = new Map<number, PromiseWithResolvers<Answer>>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result, error } = JSON.parse(String(data));
    const call = waiting.get(id);
    waiting.delete(id);
    error === undefined ? call?.resolve(result) : call?.reject(new Error(error.message));
  });
  socket.addEventListener("close", () => {
    for (const call of waiting.values()) {
      call.reject(new Error("the browser ended"));
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error(`no connection to the browser at ${url}`)));
  });
  let lastId = 0;
  return (method, params = {}, sessionId) => {
    const id = ++lastId;
    const call = Promise.withResolvers<Answer>();
    waiting.set(id, call);
    const late = setTimeout(
      () => call.reject(new Error(`the browser does not answer ${method}`)),
      ANSWER_TIMEOUT_MS,
    );
    call.promise.catch(() => {}).finally(() => clearTimeout(late));
    socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }));
    return call.promise;
  };
}

function pageOf(send: Send): Page {
  return {
    async evaluate(expression) {
      const { result, exceptionDetails } = (await send("Runtime.evaluate", {
        expression,
        awaitPromise: true,
        returnByValue: true,
      })) as { result: { value?: unknown }; exceptionDetails?: { exception?: { description?: string } } };
      if (exceptionDetails !== undefined) {
        throw new Error(exceptionDetails.exception?.description ?? `the page threw: ${expression}`);
      }
      return result.value;
    },
  };
}
