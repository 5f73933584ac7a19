import type { X509Certificate } from "node:crypto";
import type { Call, CallTrace } from "../backend/contract.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";
import type { CallSeries } from "./call-meter.ts";
import type { Metadata } from "./metadata.ts";
import type { MethodRow } from "./methods.ts";
import { certificateOf, peerOf } from "./peer.ts";
import type { Principal } from "./principal.ts";
import type { CallScope } from "./scope.ts";
import type { CallTimes } from "./times.ts";
import {
  formatTraceparent,
  MAX_TRACESTATE_CHARACTERS,
  parseTraceparent,
  type TraceParent,
} from "./trace-context.ts";

/** Gives a request's headers and peer on demand. */
export interface RequestSource {
  header(name: string): string | undefined;
  /** The argument for {@link peerOf} and {@link certificateOf}. */
  readonly socket: object;
  /** Path and query. Absent if the path alone names the call. */
  readonly url?: string;
}

/** Counts the calls under way of a namespace or of a caller. */
export interface CallCount {
  callsUnderWay: number;
}

/**
 * What is known of one RPC while it runs. Made when the headers arrive, and passed to the policies.
 * It copies nothing from the request before somebody asks.
 */
export class CallRecord implements CallTrace {
  readonly row: MethodRow;
  readonly requestId: string;
  /** In milliseconds, on the clock of `performance.now()`. */
  readonly startedAtMs = performance.now();
  /** NaN = nobody has asked. */
  #endedAtMs = Number.NaN;
  /** What a handler sends besides its messages. It must be set before the first message is sent. */
  metadata: Metadata | undefined = undefined;
  /** The caller, once a policy has found it out. */
  principal: Principal | undefined = undefined;
  /** What counts the call and its answer. `undefined` = nobody does. */
  series: CallSeries | undefined = undefined;
  /** Its own place in a trace. `undefined` = no span is made of it. */
  span: TraceParent | undefined = undefined;
  times: CallTimes | undefined = undefined;
  /**
   * How many policies have completed `begin`. Changed only by the chain of policies, like the next
   * one.
   */
  begun = 0;
  /** Whether the policies know how the call ended. */
  finished = false;
  /**
   * The bytes of the request's body as they came, so compressed ones count compressed; of a GET the
   * characters of path and query. A stream of requests counts as it comes. 0 = none were read.
   */
  requestBytes = 0;
  /** Where the quota policy counts the call until it is over. `undefined` = nowhere. */
  namespaceCount: CallCount | undefined = undefined;
  /** The same for its caller. */
  callerCount: CallCount | undefined = undefined;
  readonly #request: RequestSource;
  #entered = false;
  #named: unknown = undefined;

  constructor(row: MethodRow, requestId: string, request: RequestSource) {
    this.row = row;
    this.requestId = requestId;
    this.#request = request;
  }

  /**
   * When the call ended, on the same clock. It is the time when the first policy asks for it, so
   * only `finish` may. All that is told of a call has this one time.
   */
  get endedAtMs(): number {
    if (Number.isNaN(this.#endedAtMs)) {
      this.#endedAtMs = performance.now();
    }
    return this.#endedAtMs;
  }

  /** The caller's address; `undefined` = unknown. */
  get peer(): string | undefined {
    return peerOf(this.#request.socket);
  }

  /**
   * The caller's certificate, signed by the server's `client_ca`. `undefined` = none was asked for.
   */
  get peerCertificate(): X509Certificate | undefined {
    return certificateOf(this.#request.socket);
  }

  /** Path and query of the request. `undefined` = the path alone names the call. */
  get url(): string | undefined {
    return this.#request.url;
  }

  /** The connection's socket, only for looking at. */
  get socket(): object {
    return this.#request.socket;
  }

  /**
   * The value of a request header, by its name in lower case; several are joined with ", ".
   * `undefined` = not sent.
   */
  header(name: string): string | undefined {
    return this.#request.header(name);
  }

  /** The caller's place in a trace. `undefined` = it named none. */
  get traceParent(): TraceParent | undefined {
    return parseTraceparent(this.header("traceparent"));
  }

  /** The trace that the call belongs to, as 32 hexadecimal digits. `undefined` = none. */
  get traceId(): string | undefined {
    return (this.span ?? this.traceParent)?.traceId;
  }

  get traceparent(): string | undefined {
    const { span } = this;
    if (span === undefined) {
      const parent = this.traceParent;
      return parent && formatTraceparent(parent);
    }
    return formatTraceparent({ ...span, spanId: this.times?.openStore?.spanId ?? span.spanId });
  }

  get tracestate(): string | undefined {
    const given = this.traceParent === undefined ? undefined : this.header("tracestate");
    return given !== undefined && given.length <= MAX_TRACESTATE_CHARACTERS ? given : undefined;
  }

  /**
   * Whether the call reached its policies and handler. The protocol layer answers calls that fail
   * earlier.
   */
  get entered(): boolean {
    return this.#entered;
  }

  /**
   * The namespace's name as it came, to look it up by: "" = `default`, and it may be no valid name.
   * `undefined` = the request was not read, or has none.
   */
  get named(): string | undefined {
    return typeof this.#named === "string" ? this.#named : undefined;
  }

  /**
   * The namespace that the request named. "" = the request was not read, or the name is invalid.
   * Computed here and not in `enter`, because nobody asks for most calls.
   */
  get namespace(): string {
    const name = nameIn(this.#named);
    if (name === "") {
      return DEFAULT_NAMESPACE;
    }
    return name !== undefined && NAMESPACE_PATTERN.test(name) ? name : "";
  }

  /** Called when the request is read. What works on the call then sees its trace. */
  enter(request: object, scope?: CallScope): void {
    this.#entered = true;
    if (scope !== undefined) {
      scope.trace = this;
    }
    const { namespaceField } = this.row;
    if (namespaceField !== undefined) {
      this.#named = (request as Readonly<Record<string, unknown>>)[namespaceField];
    }
  }
}

/** Who makes a call. `undefined` = nobody was asked. */
export function principalOf({ trace }: Call): Principal | undefined {
  return trace instanceof CallRecord ? trace.principal : undefined;
}

/** What counts a call. `undefined` = nobody does. */
export function seriesOf({ trace }: Call): CallSeries | undefined {
  return trace instanceof CallRecord ? trace.series : undefined;
}

/** The name in a field that is the name itself, or a message that has it. */
function nameIn(field: unknown): string | undefined {
  const name: unknown = typeof field === "object" && field !== null ? Reflect.get(field, "name") : field;
  return typeof name === "string" ? name : undefined;
}
