import type { Logger } from "pino";

/** Failures of one kind are written so often at most; those in between are counted. */
const PERIOD_MS = 1_000;

/** Kinds that are told apart at each level. What comes beside them counts as one kind. */
const MAX_KINDS = 64;

/** The key of those. */
const OTHERS = "";

/** A kind is forgotten after so many periods without a failure; the next one has its stack again. */
const FORGET_PERIODS = 60;

/** The causes of an error that are told, each the cause of the one before. */
const MAX_CAUSES = 4;
const MAX_CAUSE_CHARACTERS = 300;

const LEVELS = ["info", "warn", "error"] as const;

/** How bad a failure is: not for us, of the server or a store, or a defect. */
export type FailureLevel = (typeof LEVELS)[number];

/** A failure as the log is to have it. */
export interface Failure {
  readonly level: FailureLevel;
  readonly message: string;
  /** Failures with one message and one kind are alike. */
  readonly kind: string;
  /** What the line has beside its message. Asked only where it is written, or is the first that is counted. */
  readonly fields: () => object;
  /** The error behind it, whose stack is written once. */
  readonly cause?: unknown;
}

/** Writes failures: one line for each kind and second, however many there are. */
export interface FailureLog {
  readonly log: Logger;
  /**
   * Writes the first failure of its kind at once. Those that follow within a second become one line, with what the
   * first of them has and with `count`, where they are more; `mixed` says that they are not all alike, because there are
   * too many kinds. At level debug each is written, and nothing is counted.
   */
  tell(failure: Failure): void;
  /** Writes what is counted. Later failures are written one by one. */
  close(): void;
}

interface Kind {
  /** Failures since the last line. */
  count: number;
  /** The line of the first of them. */
  first: { readonly message: string; readonly fields: object } | undefined;
  /** Periods since the last line. */
  quiet: number;
}

/** Makes the one log of failures of a server; it owns a timer while there are any. */
export function createFailureLog(log: Logger): FailureLog {
  const kinds: Readonly<Record<FailureLevel, Map<string, Kind>>> = {
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
        // Of a table that fills up the quiet ones go first.
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

  function writeCounted(level: FailureLevel, kind: Kind): void {
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

/** What an error and its causes say, without where they came from. */
function textOf(error: unknown): string {
  const texts: string[] = [];
  for (let each = error; each !== undefined && texts.length < MAX_CAUSES; ) {
    const { message = "", code = "", name = "", cause } = Object(each);
    texts.push(String(message || code || name || each));
    each = cause;
  }
  return texts.join(": ").slice(0, MAX_CAUSE_CHARACTERS);
}
