import { type Logger, pino } from "pino";
import { AuditFile } from "./audit-file.ts";
import type { Audit, AuditEntry } from "./calls/audit.ts";
import { createFailureLog, type FailureLog } from "./calls/failure-log.ts";
import { StartError } from "./errors.ts";
import { escaped, LINE_FORMAT } from "./log.ts";

/** The audit log of a server: who administered it, and whom it refused. */
export interface AuditLog {
  on(port: Audit["port"]): Audit;
  /** Opens the file. Throws StartError if that is not possible. */
  open(): Promise<void>;
  /** Opens the file anew after it was moved. Does nothing where the log takes the lines. */
  reopen(): void;
  /** Writes what is left and closes the file, within seconds also where the disk hangs. */
  close(): Promise<void>;
}

/**
 * Makes the audit log. Its lines are JSON objects in `file` (absolute), or without one lines of
 * `log` with `audit: true`, whatever its level; silent = none. A file that cannot be written stops
 * nothing: the log says so, and how many lines were lost.
 */
export function createAuditLog(file: string | undefined, log: Logger): AuditLog {
  const troubles = createFailureLog(log);
  const output = file === undefined ? undefined : createOutput(file, troubles);
  const lines =
    output === undefined
      ? log.child({ audit: true }, { level: log.level === "silent" ? "silent" : "info" })
      : pino({ ...LINE_FORMAT, base: null }, { write: (line: string) => output.write(escaped(line)) });
  const refusals = createFailureLog(lines);
  return {
    on: (port) => createAudit(port, lines, refusals),
    async open() {
      try {
        await output?.open();
      } catch (error) {
        throw new StartError(`audit.file ${file} cannot be opened: ${codeOf(error)}`, error);
      }
    },
    reopen: () => output?.reopen(),
    async close() {
      refusals.close();
      await output?.close();
      troubles.close();
    },
  };
}

function createAudit(port: Audit["port"], lines: Logger, refusals: FailureLog): Audit {
  const fieldsOf = ({ request_id, peer, principal, ...entry }: AuditEntry) => ({
    request_id,
    peer,
    principal,
    port,
    ...entry,
  });
  return {
    port,
    administered(entry) {
      lines.info(fieldsOf(entry), "administrative call");
    },
    refused(entry) {
      const { call, reason, peer, principal = "" } = entry;
      refusals.tell({
        level: "info",
        message: "call refused",
        // Without the namespace, because its name can be made up.
        kind: `${port} ${call} ${reason} ${peer} ${principal}`,
        fields: () => fieldsOf(entry),
      });
    },
  };
}

function createOutput(file: string, troubles: FailureLog): AuditFile {
  return new AuditFile(file, {
    failed: (error) =>
      troubles.tell({
        level: "error",
        message: "the audit log cannot be written",
        kind: String(codeOf(error)),
        fields: () => ({ file, code: codeOf(error) }),
      }),
    lost: (lost) => troubles.log.error({ file, lost }, "lines of the audit log were lost"),
  });
}

function codeOf(error: unknown): unknown {
  return Reflect.get(Object(error), "code") ?? "unknown";
}
