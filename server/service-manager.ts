import { spawn } from "node:child_process";
import type { Logger } from "pino";

/** What a service manager can be told; sd_notify(3) has the words. */
export type ServiceState = "ready" | "reloading" | "stopping" | "alive";

/** The service manager that started the gateway, systemd for example; perhaps there is none. */
export interface ServiceManager {
  /** Tells it that the gateway takes calls, reads its configuration again, ends, or lives. */
  tell(state: ServiceState): void;
  /** Tells it from now on that the gateway lives, as often as it asks to be told; perhaps never. */
  keepAlive(): void;
}

/**
 * Tells what it reads, line by line. It is one process for all lines, and is started before the
 * stores open: to start a process takes a gateway with gigabytes of data a second in which it
 * answers nobody. It ends when the gateway has ended, and by no signal: those are for the gateway.
 */
const TELLER = `trap "" TERM INT HUP; while read -r words; do systemd-notify $words; done`;

/** Who wants to hear more rarely that the gateway lives hears it so often. */
const MAX_PAUSE_MS = 60_000;

/**
 * Finds out from NOTIFY_SOCKET and WATCHDOG_USEC in `env` who wants to be told what. The program
 * systemd-notify tells it, because Node has no sockets of that kind; what it has to say goes to
 * standard error.
 */
export function createServiceManager(env: NodeJS.ProcessEnv, log: Logger): ServiceManager {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog, WATCHDOG_PID: watched } = env;
  if (socket === undefined) {
    return { tell() {}, keepAlive() {} };
  }
  const teller = spawn("sh", ["-c", TELLER], { stdio: ["pipe", "ignore", "inherit"] });
  const { stdin } = teller;
  const fail = (err: Error) => log.warn({ err }, "the service manager is not told how the gateway is");
  teller.on("error", fail).unref();
  stdin.on("error", fail);

  function tell(state: ServiceState): void {
    // Hundreds of lines are unread: who does not listen is told nothing more.
    if (!stdin.writableNeedDrain) {
      stdin.write(`${wordsOf(state)}\n`);
    }
  }

  return {
    tell,
    keepAlive() {
      // It waits for so many microseconds, and is told twice in that time.
      const everyMs = Number(watchdog) / 1000 / 2;
      const isMeant = watched === undefined || watched === String(process.pid);
      if (everyMs > 0 && isMeant) {
        setInterval(() => tell("alive"), Math.min(everyMs, MAX_PAUSE_MS)).unref();
      }
    },
  };
}

function wordsOf(state: ServiceState): string {
  switch (state) {
    case "ready":
      return "READY=1";
    case "reloading":
      // systemd takes this for the answer to its SIGHUP if it is younger. Linux has one such clock.
      return `RELOADING=1 MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`;
    case "stopping":
      return "STOPPING=1";
    case "alive":
      return "WATCHDOG=1";
  }
}
