import type { Logger } from "pino";
import type { App } from "./app.ts";
import type { Config } from "./config/config.ts";
import { type Change, renderChanges } from "./config/diff.ts";
import { ConfigError } from "./config/problem.ts";
import { PrismError } from "./errors.ts";
import type { ServiceManager } from "./service-manager.ts";
import { watchFiles } from "./watch-files.ts";

/** Why the configuration is read again. */
export type Occasion = "SIGHUP" | "change";

type RunningApp = Pick<App, "config" | "apply">;

/** What reads the configuration again. */
export interface Reloads {
  /** Reads it soon. Occasions while it is being read count as one. */
  request(occasion: Occasion): void;
  /** The server has started: from now on requests are met, also those from before. */
  begin(app: RunningApp): void;
  /** Ends it, without a wait for a reload that is under way. */
  close(): void;
}

/** Where configurations come from and where to report on them. */
export interface ReloadOptions {
  /** Reads and checks the configuration. Throws {@link ConfigError}. */
  readonly load: () => Config;
  /** The one that the server starts with. */
  readonly config: Config;
  readonly log: Logger;
  /** Hears when the configuration is read again, and when that is over. */
  readonly manager: ServiceManager;
}

/**
 * Reads the configuration again when it is asked to and, where `server.reload` says so, when the
 * file or a TLS file changes. A configuration is put in force or refused as a whole, and the log
 * says what has changed or all that is wrong.
 */
export function createReloads({ load, config, log, manager }: ReloadOptions): Reloads {
  let app: RunningApp | undefined;
  let wanted: Occasion | undefined;
  let isRunning = false;
  let isClosed = false;
  let watched = watchedFiles(config);
  let unwatch = watchFiles(watched, () => request("change"));

  function request(occasion: Occasion): void {
    wanted = wanted === "SIGHUP" ? wanted : occasion;
    void run();
  }

  async function run(): Promise<void> {
    if (isRunning || app === undefined) {
      return;
    }
    isRunning = true;
    while (wanted !== undefined && !isClosed) {
      const occasion = wanted;
      wanted = undefined;
      manager.tell("reloading");
      await reload(app, occasion);
      manager.tell("ready");
    }
    isRunning = false;
  }

  async function reload(app: RunningApp, occasion: Occasion): Promise<void> {
    if (app.config.server.reload === "off") {
      log.warn({ occasion }, "the configuration is not read again: server.reload is off");
      return;
    }
    try {
      tell(log, occasion, await app.apply(load()));
    } catch (error) {
      if (!isClosed) {
        tellRefusal(log, occasion, error);
      }
    }
    watchOthers(app.config);
  }

  /** Watches the files that are named now, if they are others. */
  function watchOthers(now: Config): void {
    const files = watchedFiles(now);
    if (isClosed || files.join("\n") === watched.join("\n")) {
      return;
    }
    unwatch();
    watched = files;
    unwatch = watchFiles(watched, () => request("change"));
    // One of them may have changed before it was watched.
    request("change");
  }

  return {
    request,
    begin(started) {
      app = started;
      void run();
    },
    close() {
      isClosed = true;
      unwatch();
    },
  };
}

function watchedFiles({ file, server: { reload, tls } }: Config): readonly string[] {
  const files = [file, tls?.certFile, tls?.keyFile, tls?.clientCaFile];
  return reload === "auto" ? files.filter((each) => each !== undefined) : [];
}

function tell(log: Logger, occasion: Occasion, changes: readonly Change[]): void {
  const taken = changes.filter(({ needsRestart }) => !needsRestart);
  const waiting = changes.filter(({ needsRestart }) => needsRestart);
  if (waiting.length > 0) {
    log.warn({ occasion, changes: renderChanges(waiting) }, "these settings need a restart");
  }
  if (taken.length > 0) {
    log.info({ occasion, changes: renderChanges(taken) }, "the configuration is in force");
  } else if (waiting.length === 0) {
    log[occasion === "SIGHUP" ? "info" : "debug"]({ occasion }, "the configuration is the same");
  }
}

function tellRefusal(log: Logger, occasion: Occasion, error: unknown): void {
  const what = "the configuration is refused, and the one before stays in force";
  if (error instanceof ConfigError) {
    log.error({ occasion, problems: error.message.split("\n") }, what);
  } else if (error instanceof PrismError) {
    log.error({ occasion, problems: [error.message], err: error.cause }, what);
  } else {
    log.error({ occasion, err: error }, what);
  }
}
