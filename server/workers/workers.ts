import type { SendHandle, Serializable } from "node:child_process";
import cluster, { type Worker } from "node:cluster";
import type { AddressInfo } from "node:net";
import { extname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import type { CatalogChanges, SavedNamespace } from "../namespaces/catalog.ts";
import type { Load } from "../services/admin.ts";
import type { Traffic } from "../services/traffic.ts";
import type { ConfigSource, PrimaryCalls, WorkerCalls } from "./calls.ts";
import { Link } from "./link.ts";
import { leasedFromPrimary, WorkerQuotas } from "./quotas.ts";
import { ToldMetrics } from "./told-metrics.ts";

/** A worker that lived so long has a fault of the moment, and is replaced at once. */
const SOUND_MS = 10_000;

/** The pause before a worker is replaced that died sooner; it doubles. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 10_000;

/** How long a start may take: its stores are opened. */
const START_TIMEOUT_MS = 60_000;

/** A change of namespaces waits no longer for a worker. */
const NAMESPACES_TIMEOUT_MS = 5_000;

/**
 * How often a worker is asked whether it lives, and how many answers may be missing. They are
 * counted, because time also passes while the primary itself is stopped.
 */
const LOOK_MS = 2_000;
const MAX_UNANSWERED = 5;

/** The number of the primary process among those that share quotas. Workers begin at 1. */
const PRIMARY = 0;

/** After its grace time a worker has so long to close its stores. */
const CLOSE_MS = 5_000;

/** What the workers are started with. */
export interface WorkersOptions {
  /** How many. */
  readonly count: number;
  readonly log: Logger;
  /** The configuration that they start with. */
  readonly config: ConfigSource;
  /** The namespaces that are kept. Throws {@link PrismError} while they are not known. */
  readonly savedNamespaces: () => readonly SavedNamespace[];
}

/** One process and the way to it. */
interface Running {
  readonly worker: Worker;
  readonly link: Link<PrimaryCalls, WorkerCalls>;
  /** Whether it takes calls. */
  isReady: boolean;
  /** How often it was asked since its last answer whether it lives. */
  unanswered: number;
}

/** How a process ended, for the log. With `err` it never took calls. */
interface End {
  readonly worker_pid?: number | undefined;
  readonly code?: number | null;
  readonly signal?: string | null;
  readonly err?: unknown;
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
  /** Makes the primary's own buckets: its callers share the quotas of the workers'. */
  readonly makeBucket = leasedFromPrimary(async (request) => this.#quotas.lease(PRIMARY, request));
  readonly #metrics = new ToldMetrics<Running>();
  readonly #places: readonly Place[];
  #config: ConfigSource;
  #isListening = false;
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
    this.#isListening = true;
    const [address] = addresses;
    if (address === undefined) {
      throw new TypeError("there is no worker");
    }
    return address;
  }

  /**
   * Puts another configuration in force in all that take calls, or in none: each makes it ready
   * first. Resolves when they have it, or throws what one of them refuses it for. One that starts
   * meanwhile has it a little later, and is replaced if it cannot take it. One at a time.
   */
  async configure(config: ConfigSource): Promise<void> {
    const next = sourceOf(config);
    const asked = this.#ready();
    const answers = await Promise.allSettled(
      asked.map(({ link }) => link.ask("prepare", next, START_TIMEOUT_MS)),
    );
    // One that has ended refuses nothing: another one comes in its place.
    const refusal = answers.find(
      (answer, i) => answer.status === "rejected" && asked[i]?.worker.isConnected() === true,
    );
    if (refusal?.status === "rejected") {
      await answersOf(asked.map(({ link }) => link.ask("decide", false)));
      throw refusal.reason;
    }
    this.#config = next;
    await this.#tell(
      async (running) => {
        if (!asked.includes(running)) {
          await running.link.ask("prepare", next, START_TIMEOUT_MS);
        }
        await running.link.ask("decide", true, START_TIMEOUT_MS);
      },
      ({ process }, err) => {
        const what = "a worker cannot take the configuration: it is replaced";
        this.#options.log.error({ worker_pid: process.pid, err }, what);
        process.kill("SIGTERM");
        const endsMs = this.#config.settings.server.shutdown_grace_ms + CLOSE_MS;
        setTimeout(() => process.kill("SIGKILL"), endsMs).unref();
      },
    );
  }

  /**
   * Tells them which namespaces have changed. Resolves when those that take calls have taken that
   * over, or have had time enough.
   */
  async tellNamespaces(changes: CatalogChanges): Promise<void> {
    await this.#tell(
      ({ link }) => link.ask("namespaces", changes, NAMESPACES_TIMEOUT_MS),
      ({ process: { pid } }, err) =>
        this.#options.log.warn(
          { worker_pid: pid, err },
          "a worker has not taken over a change of namespaces",
        ),
    );
  }

  /** How busy each one is. One that does not answer is left out. */
  loads(): Promise<readonly Load[]> {
    return answersOf(this.#ready().map(({ link }) => link.ask("load", undefined)));
  }

  /** What each has counted, as `WorkerCalls.traffic`. One that does not answer is left out. */
  async traffic(names: readonly string[]): Promise<readonly Traffic[]> {
    const told = await answersOf(this.#ready().map(({ link }) => link.ask("traffic", names)));
    return told.filter((each) => each !== undefined);
  }

  /**
   * The metrics of all, in Prometheus' text format: those of each that runs, and the counters of
   * those that have ended.
   */
  async metrics(): Promise<readonly string[]> {
    await answersOf(
      this.#ready().map(async (running) => {
        const text = await running.link.ask("metrics", undefined);
        if (this.#all().includes(running)) {
          this.#metrics.set(running, text);
        }
      }),
    );
    return this.#metrics.texts;
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
    ask: (running: Running) => Promise<void>,
    onFailed: (worker: Worker, error: unknown) => void,
  ): Promise<void> {
    await Promise.all(
      this.#all().map((running) => {
        const { worker, isReady } = running;
        const told = ask(running).catch((error) => {
          if (!this.#isEnding && worker.isConnected()) {
            onFailed(worker, error);
          }
        });
        return isReady ? told : undefined;
      }),
    );
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #end(): void {
    this.#ending.abort();
  }

  /** `started` or `failed` hears of the first start. One that fails is not tried again. */
  async #keepRunning(
    place: Place,
    started: (address: AddressInfo) => void,
    failed: (error: unknown) => void,
  ): Promise<void> {
    const { log } = this.#options;
    let pauseMs = 0;
    while (!this.#isEnding) {
      const bornMs = performance.now();
      const end: End = await this.#run(place, started).catch((err) => ({ err }));
      if (place.running !== undefined) {
        this.#metrics.end(place.running);
        place.running = undefined;
      }
      if (!this.#isListening && "err" in end) {
        this.#end();
        failed(end.err);
      }
      if (this.#isEnding) {
        return;
      }
      log.error({ worker: place.number, ...end }, "a worker has ended; it is replaced");
      const wasSound = performance.now() - bornMs >= SOUND_MS;
      pauseMs = wasSound ? 0 : Math.min(Math.max(FIRST_PAUSE_MS, 2 * pauseMs), MAX_PAUSE_MS);
      await delay(pauseMs, undefined, { signal: this.#ending.signal }).catch(() => {});
      this.#replaced += this.#isEnding ? 0 : 1;
    }
  }

  /** Runs a process to its end. `started` hears when it takes calls. */
  async #run(place: Place, started: (address: AddressInfo) => void): Promise<End> {
    const { log } = this.#options;
    const worker = cluster.fork();
    const ended = endOf(worker);
    closeUntaken(worker);
    const running = this.#connect(place, worker);
    try {
      started(await running.link.ask("start", this.#config, START_TIMEOUT_MS));
    } catch (err) {
      worker.process.kill("SIGKILL");
      return { err, ...(await ended) };
    }
    running.isReady = true;
    log.info({ worker: place.number, worker_pid: worker.process.pid }, "a worker takes calls");
    const looking = setInterval(() => this.#look(running), LOOK_MS);
    const end = await ended;
    clearInterval(looking);
    return end;
  }

  /** Ends a worker that takes calls and answers nothing. */
  #look(running: Running): void {
    const { worker, link, isReady } = running;
    if (!isReady) {
      return;
    }
    if (running.unanswered >= MAX_UNANSWERED) {
      running.isReady = false;
      this.#options.log.error({ worker_pid: worker.process.pid }, "a worker does not answer");
      worker.process.kill("SIGKILL");
      return;
    }
    running.unanswered++;
    const answered = () => {
      running.unanswered = 0;
    };
    // Its exit tells of one that has ended.
    link.ask("load", undefined, 0).then(answered, () => {});
  }

  #connect(place: Place, worker: Worker): Running {
    const link = new Link<PrimaryCalls, WorkerCalls>(worker, {
      savedNamespaces: async () => this.#options.savedNamespaces(),
      lease: async (request) => this.#quotas.lease(place.number, request),
    });
    const running = { worker, link, isReady: false, unanswered: 0 };
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

/** Resolves when a process has ended, or could not be started. */
function endOf(worker: Worker): Promise<End> {
  return new Promise((resolve) => {
    worker.once("exit", (code, signal) => resolve({ worker_pid: worker.process.pid, code, signal }));
    worker.on("error", (err) => {
      // It has no exit then. Other errors are of a channel, whose process ends.
      if (worker.process.pid === undefined) {
        resolve({ err });
      }
    });
  });
}

/**
 * Ends the connection that a worker was given and has not taken when it dies; there is one at most.
 * Without this Node waits for the worker's answer: it keeps the connection open, and does not tell
 * that the channel has closed.
 *
 * It reads Node's own messages between the processes, which are not documented: look here when
 * Node changes. The test of a worker that does not answer shows it.
 */
function closeUntaken({ process }: Worker): void {
  let given: unknown;
  const { send } = process;
  const sendAndNote = (...sent: [message: Serializable, handle?: SendHandle]) => {
    given = sent[1] ?? given;
    return send.apply(process, sent);
  };
  Object.assign(process, { send: sendAndNote });
  // Before the cluster's own listener, which sends the next one.
  process.prependListener("internalMessage", ({ ack }) => {
    given = ack === undefined ? given : undefined;
  });
  process.once("exit", () => {
    if (given instanceof Object && "close" in given && typeof given.close === "function") {
      given.close();
      process.emit("disconnect");
    }
  });
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
