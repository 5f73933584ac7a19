/** A worker process: the data plane, as the primary process tells it. It is never imported. */
import { type App, createApp } from "../app.ts";
import { withSettings } from "../config/config.ts";
import { PrismError } from "../errors.ts";
import { createLog } from "../log.ts";
import { endLogOutput } from "../log-output.ts";
import { Serial } from "../namespaces/serial.ts";
import { firstSignal } from "../signals.ts";
import type { PrimaryCalls, WorkerCalls } from "./calls.ts";
import { readFromPrimary } from "./catalogs.ts";
import { Link } from "./link.ts";
import { leasedFromPrimary } from "./quotas.ts";

const starting = Promise.withResolvers<App>();
// Without a start there is nothing that waits for it.
starting.promise.catch(() => {});
/** One that was given up may still be opening its stores when the next one comes. */
const configuring = new Serial(Number.POSITIVE_INFINITY, "configurations");
/** Ends the last `prepare`. */
let decide: WorkerCalls["decide"] = async () => {};
let stopping: Promise<void> | undefined;

const link: Link<WorkerCalls, PrimaryCalls> = new Link<WorkerCalls, PrimaryCalls>(process, {
  async start(source) {
    const config = withSettings(source, source.settings);
    const app = await createApp(config, {
      log: await createLog(config.logging),
      primary: {
        catalog: readFromPrimary(() => link.ask("savedNamespaces", undefined)),
        makeBucket: leasedFromPrimary((request) => link.ask("lease", request)),
      },
    });
    const { data } = await app.start();
    starting.resolve(app);
    return data;
  },
  async prepare(source) {
    const app = await starting.promise;
    const ready = Promise.withResolvers<void>();
    const decided = Promise.withResolvers<boolean>();
    const agreed = async () => {
      ready.resolve();
      if (!(await decided.promise)) {
        throw new PrismError("conflict", "another process refuses the configuration");
      }
    };
    const applied = configuring.runAlways(() => app.apply(withSettings(source, source.settings), agreed));
    applied.catch(ready.reject);
    decide = async (isAgreed) => {
      decided.resolve(isAgreed);
      await applied;
    };
    await ready.promise;
  },
  decide: (isAgreed) => decide(isAgreed),
  namespaces: async (changes) => (await starting.promise).control.takeOver(changes),
  load: async () => (await starting.promise).load(),
  traffic: async (names) => (await starting.promise).traffic(names),
  metrics: async () => (await starting.promise).metrics(),
  reopenAudit: async () => (await starting.promise).reopenAudit(),
  drain: async () => (await starting.promise).drain(),
  stop: () => stop(),
});

/** Ends the worker. The process ends when nothing is left of it. */
function stop(): Promise<void> {
  stopping ??= starting.promise.then((app) => app.stop()).finally(endSoon);
  return stopping;
}

function endSoon(): void {
  // Nothing more is asked, but the last answer has to go out.
  process.channel?.unref();
  endLogOutput();
}

// The primary tells of a terminal that is gone, and of files to read again.
process.on("SIGHUP", () => {});
void firstSignal().then(stop);
