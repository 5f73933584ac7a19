import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, createContextValues } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "pino";
import type { PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import type { Metadata } from "./exchange.ts";
import { statusCode } from "./status.ts";

/** Where a call's request headers are looked up. */
export interface RequestFields {
  header(name: string): string | undefined;
}

/** What is known of one RPC while it runs: made when its headers arrive, logged once when it ends. */
export class CallRecord {
  readonly requestId: string;
  /** From `performance.now()`, in milliseconds. */
  readonly startedAtMs = performance.now();
  /** What a handler wants to be told beside its messages; it counts until the first of them is sent. */
  metadata: Metadata | undefined = undefined;
  readonly #request: RequestFields;
  #entered = false;
  #named: string | undefined = undefined;

  constructor(requestId: string, request: RequestFields) {
    this.requestId = requestId;
    this.#request = request;
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
export function createCallValues(requestId: string, request: RequestFields): ContextValues {
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

/** Logs to `log`. Never values, keys or tokens; a masked error's cause is logged here and nowhere else. */
export function createCallLog(log: Logger): CallLog {
  return (method, record, error) => {
    if (error === undefined && !log.isLevelEnabled("debug")) {
      return;
    }
    const line = {
      request_id: record.requestId,
      service: method.parent.typeName,
      call: method.name,
      namespace: record.namespace,
      code: error === undefined ? "ok" : codeToString(statusCode(error.reason)),
      duration_ms: Math.round((performance.now() - record.startedAtMs) * 1000) / 1000,
    };
    if (error === undefined) {
      log.debug(line, "call");
      return;
    }
    const failure = { ...line, reason: error.reason, error: error.message };
    log[level(error)](error.cause === undefined ? failure : { ...failure, err: error.cause }, "call failed");
  };
}

/** Defects are errors, trouble of the server or a store warns, and what the caller did wrong is information. */
function level(error: PrismError): "error" | "warn" | "info" {
  switch (error.reason) {
    case "internal":
    case "corrupt_data":
      return "error";
    case "store_full":
    case "store_unavailable":
    case "outcome_unknown":
    case "overloaded":
    case "deadline_exceeded":
    case "shutting_down":
      return "warn";
    case "malformed_request":
    case "compression_unnamed":
    case "request_too_slow":
    case "request_unsupported":
    case "invalid_field":
    case "key_not_found":
    case "namespace_not_found":
    case "service_not_found":
    case "method_not_found":
    case "interface_unsupported":
    case "value_too_large":
    case "canceled":
      return "info";
  }
}
