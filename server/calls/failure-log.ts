import type { Logger } from "pino";

/** Failures of one kind are written at most once in this time. The others are counted. */
const PERIOD_MS = 1_000;

/** The most kinds that are kept apart at each level. All further kinds count as one. */
const MAX_KINDS = 64;

/** The key of all further kinds. */
const OTHERS = "";

/**
 * A kind is forgotten after this many periods without a failure. The next failure has its stack
 * again.
 */
const FORGET_PERIODS = 60;

/** The most causes that are written, each the cause of the one before. */
const MAX_CAUSES = 4;
const MAX_CAUSE_CHARACTERS = 300;

const LEVELS = ["info", "warn", "error"] as const;

/** How bad a failure is: not our fault, trouble of the server or a store, or a defect. */
export type FailureLevel = (typeof LEVELS)[number];

/** A failure to log. */
export interface Failure {
  readonly level: FailureLevel;
  readonly message: string;
  /** Failures with the same kind and message are grouped. */
  readonly kind: string;
  /**
   * The fields of the line besides its message. Called only if the line is written or is the first
   * that is counted.
   */
  readonly fields: () => object;
  /** The error behind it. Its stack is written once. */
  readonly cause?: unknown;
}

/** Writes failures: at most one line each second for each kind. */
export interface FailureLog {
  readonly log: Logger;
  /**
   * Writes the first failure of its kind at once. Those of the next second become one line, with
   * the fields of the first and a `count` if there are several. `mixed` marks a line of different
   * kinds, which happens when there are too many kinds. At level debug every failure is written and
   * nothing is counted.
   */
  tell(failure: Failure): void;
  /** Writes the counted failures. Later failures are written one by one. */
  close(): void;
}

interface FailureGroup {
  /** Failures since the last line. */
  count: number;
  /** The line of the first failure among them. */
  first: { readonly message: string; readonly fields: object } | undefined;
  /** Periods in a row without a failure. */
  quiet: number;
}

/** Makes a server's log of failures. It runs a timer while it has failures to count. */
export function createFailureLog(log: Logger): FailureLog {
  const kinds: Readonly<Record<FailureLevel, Map<string, FailureGroup>>> = {
    info: new Map(),
    warn: new Map(),
    error: new Map(),
  };
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function tick(): void {
    let left = 0;
    for (const level of LEVELS) {
      const known = kinds[level];
      for (const [key, kind] of known) {
        kind.quiet++;
        writeCounted(level, kind);
        // When the table fills up, the quiet kinds go first.
        if (kind.quiet >= FORGET_PERIODS || (kind.quiet > 0 && known.size > MAX_KINDS / 2)) {
          known.delete(key);
        }
      }
      left += known.size;
    }
    if (left === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  }

  function writeCounted(level: FailureLevel, kind: FailureGroup): void {
    const { first, count } = kind;
    if (first !== undefined) {
      log[level]({ ...first.fields, ...(count > 1 && { count }) }, first.message);
      kind.count = 0;
      kind.first = undefined;
      kind.quiet = 0;
    }
  }

  return {
    log,
    tell({ level, message, kind: name, fields, cause }) {
      if (!log.isLevelEnabled(level)) {
        return;
      }
      const withStack = () => (cause === undefined ? fields() : { ...fields(), err: cause });
      if (closed || log.isLevelEnabled("debug")) {
        log[level](withStack(), message);
        return;
      }
      const known = kinds[level];
      const text = cause === undefined ? undefined : textOf(cause);
      const own = `${message}\n${name}\n${text}`;
      const key = known.size < MAX_KINDS || known.has(own) ? own : OTHERS;
      const withText = () => ({
        ...fields(),
        cause: text,
        ...(key === OTHERS && { mixed: true }),
      });
      const kind = known.get(key);
      if (kind === undefined) {
        known.set(key, { count: 0, first: undefined, quiet: 0 });
        timer ??= setInterval(tick, PERIOD_MS).unref();
        log[level](withStack(), message);
      } else if (kind.quiet > 0) {
        kind.quiet = 0;
        log[level](withText(), message);
      } else {
        kind.first ??= { message, fields: withText() };
        kind.count++;
      }
    },
    close() {
      closed = true;
      clearInterval(timer);
      for (const level of LEVELS) {
        for (const kind of kinds[level].values()) {
          writeCounted(level, kind);
        }
        kinds[level].clear();
      }
    },
  };
}

/** The messages of an error and its causes, without stacks. */
function textOf(error: unknown): string {
  const texts: string[] = [];
  for (let each = error; each !== undefined && texts.length < MAX_CAUSES; ) {
    const { message = "", code = "", name = "", cause } = Object(each);
    texts.push(String(message || code || name || each));
    each = cause;
  }
  return texts.join(": ").slice(0, MAX_CAUSE_CHARACTERS);
}
