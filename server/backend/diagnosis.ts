import { TLSSocket } from "node:tls";

/**
 * What a store is like where it is looked at, for operators: `prism doctor` prints it. A warning is
 * something to know about, or to change; with a problem the gateway cannot serve the store.
 */
export interface Diagnosis {
  /** What was looked at, in a word or two: `version`. */
  readonly check: string;
  readonly state: "ok" | "warning" | "problem";
  /** What was found, and unless it is fine what to do. No password is in it. */
  readonly message: string;
}

/** A store's clock and this machine's may differ so much without a warning. */
const MAX_CLOCK_DIFFERENCE_MS = 1_000;

/** A check that ended well. */
export function fine(check: string, message: string): Diagnosis {
  return { check, state: "ok", message };
}

/** A check with something to know about. */
export function warning(check: string, message: string): Diagnosis {
  return { check, state: "warning", message };
}

/** A check that says why the store cannot be served. */
export function problem(check: string, message: string): Diagnosis {
  return { check, state: "problem", message };
}

/** What opening the store said. `error` has a message for operators. */
export function unreachable(error: unknown): Diagnosis {
  return problem("reachable", error instanceof Error ? error.message : String(error));
}

/** Who can read along on the way to a store, and who could take its place. */
export function diagnoseTls(socket: unknown): Diagnosis {
  if (socket instanceof TLSSocket) {
    return socket.authorized
      ? fine("TLS", `${socket.getProtocol()}, and the server's certificate was verified`)
      : warning(
          "TLS",
          "the server's certificate is not verified, so another could take its place: name its authority (tls: {ca: FILE})",
        );
  }
  const address = Reflect.get(Object(socket), "remoteAddress");
  return typeof address !== "string" || isLoopback(address)
    ? fine("TLS", "none is needed: the server is on this machine")
    : warning("TLS", "none, so data and password can be read on their way: use TLS");
}

/** Whether an address, as sockets have it, or a host's name is of this machine. */
export function isLoopback(address: string): boolean {
  return /^(::ffff:)?127\.|^\[?::1\]?$|^localhost$/.test(address);
}

/**
 * How far a store's clock is from this machine's. `storeMs`: its time in milliseconds since 1970,
 * which was asked for at `askedMs` and told at `toldMs` of this machine's clock.
 */
export function diagnoseClock(storeMs: number, askedMs: number, toldMs: number): Diagnosis {
  // It was read at some moment in between.
  const differenceMs = storeMs < askedMs ? storeMs - askedMs : Math.max(0, storeMs - toldMs);
  const seconds = Math.abs(differenceMs / 1000).toFixed(1);
  return Math.abs(differenceMs) <= MAX_CLOCK_DIFFERENCE_MS
    ? fine("clock", "as this machine's")
    : warning(
        "clock",
        `${seconds} s ${differenceMs < 0 ? "behind" : "before"} this machine's; entries expire by the store's: let NTP set both`,
      );
}
