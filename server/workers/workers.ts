import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { SavedNamespace } from "../namespaces/catalog.ts";
import type { Load } from "../services/admin.ts";
import type { ConfigSource, PrimaryCalls, WorkerCalls } from "./calls.ts";
import { Link } from "./link.ts";
import { WorkerQuotas } from "./quotas.ts";

/** A worker that lived so long has a fault of the moment, and is replaced at once. */
const SOUND_MS = 10_000;

/** The pause before a worker is replaced that died sooner; it doubles. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;

/** How long a start may take: its stores are opened. */
const START_TIMEOUT_MS = 60_000;

/** A change of namespaces waits no longer for a worker. */
const NAMESPACES_TIMEOUT_MS = 5_000;

/** How often a worker is asked whether it lives, and how long it may take to answer. */
const LOOK_MS = 2_000;
const SILENCE_MS = 10_000;

/** After its grace time a worker has so long to close its stores. */
const CLOSE_MS = 5_000;

/** What the workers are started with. */
export interface WorkersOptions {
  /** How many. */
  readonly count: number;
  readonly log: Logger;
  /** The configuration that they start with. */
  readonly config: ConfigSource;
  /** The namespaces that are kept. */
  readonly savedNamespaces: () => Promise<readonly SavedNamespace[]>;
}

/** One process and the way to it. */
interface Running {
  readonly worker: Worker;
  readonly link: Link<PrimaryCalls, WorkerCalls>;
  /** Whether it takes calls. */
  isReady: boolean;
}

/** The place of a worker. Its process may be another one after a while. */
interface Place {
  readonly number: number;
  running: Running | undefined;
  /** Resolves when nothing runs here any more. */
  ended: Promise<void>;
}

/**
 * The processes behind the data port. Each runs the data plane with stores of its own; connections
 * are given to them in turn (node:cluster). One that ends is replaced, and so is one that does not
 * answer any more.
 */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #quotas = new WorkerQuotas();
  readonly #places: readonly Place[];
  #config: ConfigSource;
  #isEnding = false;
  readonly #ending = new AbortController();
  #replaced = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#config = sourceOf(options.config);
    this.#places = Array.from({ length: options.count }, (_, i) => ({
      number: i + 1,
      running: undefined,
      ended: Promise.resolve(),
    }));
  }

  /** How many there are to be. */
  get count(): number {
    return this.#places.length;
  }

  /** How many of them take calls. */
  get ready(): number {
    return this.#ready().length;
  }

  /** How many processes were replaced. */
  get replaced(): number {
    return this.#replaced;
  }

  /**
   * Starts them. They listen where their configuration says. Throws what the first of them throws
   * that cannot start; `close` ends the others.
   */
  async listen(): Promise<AddressInfo> {
    cluster.setupPrimary({
      exec: fileURLToPath(new URL(`./worker${extname(import.meta.filename)}`, import.meta.url)),
      args: [],
      // What the configuration and metrics are made of, in less time than JSON takes.
      serialization: "advanced",
    });
    const addresses = await Promise.all(
      this.#places.map((place) => {
        const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>();
        place.ended = this.#keepRunning(place, resolve, reject);
        return promise;
      }),
    );
    const [address] = addresses;
    if (address === undefined) {
      throw new TypeError("there is no worker");
    }
    return address;
  }

  /**
   * Puts another configuration in force. Resolves when those that take calls have it. A worker that
   * cannot take it is replaced.
   */
  async configure(config: ConfigSource): Promise<void> {
    this.#config = sourceOf(config);
    await this.#tell(
      (link) => link.ask("configure", this.#config, START_TIMEOUT_MS),
      ({ process }, err) => {
        const what = "a worker cannot take the configuration: it is replaced";
        this.#options.log.error({ worker_pid: process.pid, err }, what);
        process.kill("SIGTERM");
      },
    );
  }

  /**
   * Tells them that the namespaces have changed. Resolves when those that take calls have read
   * them, or have had time enough.
   */
  async tellNamespaces(): Promise<void> {
    await this.#tell(
      (link) => link.ask("namespaces", undefined, NAMESPACES_TIMEOUT_MS),
      ({ process: { pid } }, err) =>
        this.#options.log.warn({ worker_pid: pid, err }, "a worker has not read the namespaces"),
    );
  }

  /** How busy each one is. One that does not answer is left out. */
  loads(): Promise<readonly Load[]> {
    return answersOf(this.#ready().map(({ link }) => link.ask("load", undefined)));
  }

  /** The metrics of each, in Prometheus' text format. One that does not answer is left out. */
  metrics(): Promise<readonly string[]> {
    return answersOf(this.#ready().map(({ link }) => link.ask("metrics", undefined)));
  }

  /** Tells them that the file of the audit log was moved away. */
  reopenAudit(): void {
    void answersOf(this.#all().map(({ link }) => link.ask("reopenAudit", undefined)));
  }

  /** Lets them take no new calls. Resolves when those under way have ended. */
  async drain(): Promise<void> {
    this.#end();
    await answersOf(this.#all().map(({ link }) => link.ask("drain", undefined, 0)));
  }

  /**
   * Ends them. Their calls have `graceMs`, as the configuration says; 0 cuts them. Resolves when
   * all processes have ended.
   */
  async close(graceMs: number): Promise<void> {
    this.#end();
    const kill = () => {
      for (const { worker } of this.#all()) {
        worker.process.kill("SIGKILL");
      }
    };
    if (graceMs === 0) {
      kill();
    } else {
      void answersOf(this.#all().map(({ link }) => link.ask("stop", undefined, 0)));
    }
    const late = setTimeout(kill, graceMs + CLOSE_MS);
    await Promise.all(this.#places.map(({ ended }) => ended));
    clearTimeout(late);
  }

  /** Waits for those that take calls; one that starts has it when it does. */
  async #tell(
    ask: (link: Running["link"]) => Promise<void>,
    onFailed: (worker: Worker, error: unknown) => void,
  ): Promise<void> {
    await Promise.all(
      this.#all().map(({ link, worker, isReady }) => {
        const told = ask(link).catch((error) => {
          if (!this.#isEnding && worker.isConnected()) {
            onFailed(worker, error);
          }
        });
        return isReady ? told : undefined;
      }),
    );
  }

  #end(): void {
    this.#isEnding = true;
    this.#ending.abort();
  }

  /** `started` and `failed` hear of the first start. */
  async #keepRunning(
    place: Place,
    started: (address: AddressInfo) => void,
    failed: (error: unknown) => void,
  ): Promise<void> {
    const { log } = this.#options;
    let pauseMs = 0;
    let hasStarted = false;
    while (!this.#isEnding) {
      const bornMs = performance.now();
      const worker = cluster.fork();
      const ended = once(worker, "exit");
      const running = this.#connect(place, worker);
      try {
        started(await running.link.ask("start", this.#config, START_TIMEOUT_MS));
        running.isReady = true;
        hasStarted = true;
        log.info({ worker: place.number, worker_pid: worker.process.pid }, "a worker takes calls");
      } catch (err) {
        // Who waits for the first start is told there.
        failed(err);
        if (hasStarted && !this.#isEnding) {
          log.error({ worker: place.number, err }, "a worker cannot start");
        }
        worker.process.kill("SIGKILL");
      }
      const looking = setInterval(() => this.#look(running), LOOK_MS);
      const [code, signal] = await ended;
      clearInterval(looking);
      place.running = undefined;
      if (this.#isEnding) {
        return;
      }
      log.error(
        { worker: place.number, worker_pid: worker.process.pid, code, signal },
        "a worker has ended; it is replaced",
      );
      const wasSound = performance.now() - bornMs >= SOUND_MS;
      pauseMs = wasSound ? 0 : Math.min(Math.max(FIRST_PAUSE_MS, 2 * pauseMs), MAX_PAUSE_MS);
      await delay(pauseMs, undefined, { signal: this.#ending.signal }).catch(() => {});
      this.#replaced++;
    }
  }

  /** Ends a worker that takes calls and answers nothing. */
  #look({ worker, link, isReady }: Running): void {
    if (isReady) {
      link.ask("load", undefined, SILENCE_MS).catch((err) => {
        if (worker.isConnected() && worker.process.kill("SIGKILL")) {
          this.#options.log.error({ worker_pid: worker.process.pid, err }, "a worker does not answer");
        }
      });
    }
  }

  #connect(place: Place, worker: Worker): Running {
    const link = new Link<PrimaryCalls, WorkerCalls>(worker, {
      savedNamespaces: () => this.#options.savedNamespaces(),
      lease: async (request) => this.#quotas.lease(place.number, request),
    });
    // A process that cannot be started ends as one that died.
    worker.on("error", () => {});
    const running = { worker, link, isReady: false };
    place.running = running;
    return running;
  }

  #all(): readonly Running[] {
    return this.#places.flatMap(({ running }) => running ?? []);
  }

  #ready(): readonly Running[] {
    return this.#all().filter(({ isReady }) => isReady);
  }
}

/** Without what the worker makes of it. */
function sourceOf({ file, overridden, settings }: ConfigSource): ConfigSource {
  return { file, overridden, settings };
}

/** Those answers that come. */
async function answersOf<T>(asked: readonly Promise<T>[]): Promise<readonly T[]> {
  const settled = await Promise.allSettled(asked);
  return settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
}
