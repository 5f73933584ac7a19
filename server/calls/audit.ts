import type { Reason } from "../reasons.ts";

/** One call, as the audit log tells it. */
export interface AuditEntry {
  readonly request_id: string;
  /** The caller's address; `undefined` = unknown. */
  readonly peer: string | undefined;
  /** The caller's name; `undefined` = unknown, or callers have none. */
  readonly principal: string | undefined;
  /** `/package.Service/Method`, or the HTTP method and the route. */
  readonly call: string;
  /** "" = none is known. */
  readonly namespace: string;
  /** "ok", or the status code by Connect's name. */
  readonly code: string;
  /** The HTTP status of a plain route. Absent = a method of a service. */
  readonly http_status?: number;
  /** Absent = the call succeeded, or its reason is unknown. */
  readonly reason?: Reason;
}

/** The audit log of one port. Its lines have the time and the port besides the entry. */
export interface Audit {
  readonly port: "data" | "admin";
  /** Tells of an administrative call. Each has its own line. */
  administered(entry: AuditEntry): void;
  /**
   * Tells of a call that was refused before its caller was known and admitted. Anybody can cause
   * such calls, so those of one caller and call are at most a line a second, with the fields of the
   * first and a `count`.
   */
  refused(entry: AuditEntry): void;
}
