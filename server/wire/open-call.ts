import type { CallRecord } from "../calls/record.ts";
import type { CallScope } from "../calls/scope.ts";
import { PrismError } from "../errors.ts";
import { tooSlow } from "./connect-policy.ts";
import type { DirectCall, DirectMethod } from "./direct-method.ts";
import type { Exchange, ExchangeListener, NoBody } from "./exchange.ts";
import type { DirectForm } from "./forms.ts";
import { messageTooLarge } from "./message-limits.ts";
import type { Indexed, OpenCalls } from "./open-calls.ts";
import { TurnQueue } from "./turn-queue.ts";
import { noRoom } from "./unpack.ts";
import { ENVELOPE_HEAD_BYTES } from "./wire-format.ts";

/** The open calls, and the bounds of receiving one. */
export interface CallBounds {
  readonly open: OpenCalls<OpenCall>;
  /** The time limit to receive a whole request; 0 = none. */
  readonly requestTimeoutMs: number;
  /** Called with defects; the call is broken off. */
  readonly onDefect: (error: unknown) => void;
}

/** A call on the direct path, from its headers to the end of its exchange. */
export class OpenCall implements DirectCall, ExchangeListener, Indexed {
  index = -1;
  readonly exchange: Exchange;
  readonly form: DirectForm;
  readonly zipped: boolean;
  readonly gzip: boolean;
  readonly record: CallRecord;
  readonly scope: CallScope;
  readonly #method: DirectMethod;
  readonly #bounds: CallBounds;
  /** True: it was received whole or refused. */
  #received = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #whenDrained: (() => void) | undefined = undefined;

  constructor(
    exchange: Exchange,
    form: DirectForm,
    zipped: boolean,
    gzip: boolean,
    record: CallRecord,
    scope: CallScope,
    method: DirectMethod,
    bounds: CallBounds,
  ) {
    this.exchange = exchange;
    this.form = form;
    this.zipped = zipped;
    this.gzip = gzip;
    this.record = record;
    this.scope = scope;
    this.#method = method;
    this.#bounds = bounds;
  }

  /** Reads the request, and answers it once it is whole. */
  receive(): void {
    this.#bounds.open.add(this);
    // Smaller excesses are found when it is read.
    this.exchange.collect(this.#method.limits.maxBytes + ENVELOPE_HEAD_BYTES, this);
    if (this.#received) {
      return;
    }
    this.scope.whenAborted((reason) => this.#refuse(reason));
    if (!this.#received && this.#bounds.requestTimeoutMs > 0) {
      young.push(this);
    }
  }

  onBody(body: Uint8Array | NoBody): void {
    if (body === "too long") {
      this.#refuse(messageTooLarge(this.#method.limits));
    } else if (body === "no room") {
      this.#refuse(noRoom());
    } else if (!this.#received) {
      this.#received = true;
      clearTimeout(this.#timer);
      if (this.#method.row.waits) {
        this.exchange.awaitEvent?.();
      }
      this.#method.answer(this, body).catch((error) => {
        this.exchange.abort();
        this.#bounds.onDefect(error);
      });
    }
  }

  onDrain(): void {
    this.#whenDrained?.();
  }

  onClose(): void {
    this.#bounds.open.delete(this);
    // Creating an error takes longer than the call, so it is made only if needed.
    if (!this.#received) {
      this.#received = true;
      clearTimeout(this.#timer);
      this.#method.abandon(this, new PrismError("canceled", "the caller left"));
    }
    this.scope.leave();
  }

  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenDrained = resolve;
    });
  }

  /** Starts the timer of a request that has not arrived. */
  arm(): void {
    if (!this.#received) {
      const { requestTimeoutMs } = this.#bounds;
      const late = () => this.#refuse(tooSlow(requestTimeoutMs));
      this.#timer = setTimeout(late, requestTimeoutMs);
    }
  }

  /** Answers without the request. Does nothing if that was received or refused. */
  #refuse(error: PrismError): void {
    if (!this.#received) {
      this.#received = true;
      clearTimeout(this.#timer);
      this.#method.refuse(this, error);
    }
  }
}

/** Most requests are whole in the turn in which they came, and need no timer. */
const young = new TurnQueue<OpenCall>((call) => call.arm());
