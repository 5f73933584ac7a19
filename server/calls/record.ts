import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import { REASONS } from "../reasons.ts";
import type { FailureLog } from "./failure-log.ts";
import type { Metadata } from "./metadata.ts";
import { peerOf } from "./peer.ts";

/** A request, where its headers and its peer are looked up if anybody asks for them. */
export interface RequestSource {
  header(name: string): string | undefined;
  /** For {@link peerOf}. */
  readonly socket: object;
  /** Path and query; absent where the path alone says which call it is. */
  readonly url?: string;
}

/** What is known of one RPC while it runs: made when its headers arrive, logged once when it ends. */
export class CallRecord {
  readonly requestId: string;
  /** From `performance.now()`, in milliseconds. */
  readonly startedAtMs = performance.now();
  /** What a handler wants to be told beside its messages; it counts until the first of them is sent. */
  metadata: Metadata | undefined = undefined;
  readonly #request: RequestSource;
  #entered = false;
  #named: string | undefined = undefined;

  constructor(requestId: string, request: RequestSource) {
    this.requestId = requestId;
    this.#request = request;
  }

  /** The caller's address; `undefined` = it is not known. */
  get peer(): string | undefined {
    return peerOf(this.#request.socket);
  }

  /** Path and query of the request; `undefined` where the path alone says which call it is. */
  get url(): string | undefined {
    return this.#request.url;
  }

  /** The value of a request header, by its name in lower case; `undefined` = not sent. */
  header(name: string): string | undefined {
    return this.#request.header(name);
  }

  /** From the handler's start on the policy around it logs the outcome, before that the protocol layer does. */
  get entered(): boolean {
    return this.#entered;
  }

  /**
   * The one that the request named; "" until the request was read, and where that is no valid name. Judged here and
   * not in `enter`: most calls end well, and nobody asks.
   */
  get namespace(): string {
    if (this.#named === "") {
      return DEFAULT_NAMESPACE;
    }
    return this.#named !== undefined && NAMESPACE_PATTERN.test(this.#named) ? this.#named : "";
  }

  /** The handler is about to get the request. */
  enter(request: unknown): void {
    this.#entered = true;
    if (typeof request === "object" && request !== null && "namespace" in request) {
      this.#named = String(request.namespace);
    }
  }
}

const recordKey = createContextKey<CallRecord | undefined>(undefined);

/** A record in the values that Connect hands to its handlers. */
export function createCallValues(requestId: string, request: RequestSource): ContextValues {
  return createContextValues().set(recordKey, new CallRecord(requestId, request));
}

/** The record of a call. Throws if the values are not from {@link createCallValues}. */
export function callRecord(values: ContextValues | undefined): CallRecord {
  const record = values?.get(recordKey);
  if (record === undefined) {
    throw new TypeError("this call was not started with createCallValues()");
  }
  return record;
}

/** Writes the one log line of a call: failures by what an operator should do about them, success as debug. */
export type CallLog = (method: DescMethod, record: CallRecord, error: PrismError | undefined) => void;

/** Logs to `failures`, and what is no failure to its log. Never values, keys or tokens; a masked error's cause is logged here and nowhere else. */
export function createCallLog(failures: FailureLog): CallLog {
  const { log } = failures;
  return (method, record, error) => {
    const level = error === undefined ? "debug" : REASONS[error.reason].level;
    if (!log.isLevelEnabled(level)) {
      return;
    }
    if (error === undefined || level === "debug") {
      log.debug(fieldsOf(method, record, error), error === undefined ? "call" : "call failed");
      return;
    }
    const { reason, field = "", cause } = error;
    // A name that is no namespace's would make as many kinds as there are names.
    const namespace = reason === "namespace_not_found" ? "" : record.namespace;
    failures.tell({
      level,
      message: "call failed",
      kind: `${method.parent.typeName}/${method.name} ${namespace} ${reason} ${field}`,
      fields: () => fieldsOf(method, record, error),
      cause,
    });
  };
}

/** What the log has in place of a message that can hold keys and values. */
const UNREAD = "the request was not read; the answer says why";

function fieldsOf(method: DescMethod, record: CallRecord, error: PrismError | undefined) {
  return {
    request_id: record.requestId,
    peer: record.peer,
    service: method.parent.typeName,
    call: method.name,
    namespace: record.namespace,
    code: error === undefined ? "ok" : codeToString(REASONS[error.reason].code),
    duration_ms: Math.round((performance.now() - record.startedAtMs) * 1000) / 1000,
    ...(error !== undefined && { reason: error.reason, error: error.echoes ? UNREAD : error.message }),
  };
}
