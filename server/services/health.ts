import {
  type Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import type { Call } from "../backend/contract.ts";
import type { Handlers } from "../calls/implement.ts";
import { abortError, PrismError } from "../errors.ts";

/** Whether the server takes calls, and who waits for a change. */
export interface HealthState {
  /** The services that have health; "" stands for the whole server. */
  readonly services: ReadonlySet<string>;
  readonly serving: boolean;
  set(serving: boolean): void;
  /** Resolves at the next change. Rejects if the call ends first. */
  changed(call: Call): Promise<void>;
}

/** Starts as not serving. All services share one state. */
export function createHealthState(serviceNames: readonly string[]): HealthState {
  const services = new Set(["", ...serviceNames]);
  const waiting = new Set<() => void>();
  let serving = false;
  return {
    services,
    get serving() {
      return serving;
    },
    set(value) {
      if (serving !== value) {
        serving = value;
        for (const wake of [...waiting]) {
          wake();
        }
      }
    },
    changed({ signal }) {
      return new Promise((resolve, reject) => {
        const end = () => {
          waiting.delete(wake);
          signal.removeEventListener("abort", abort);
        };
        const wake = () => {
          end();
          resolve();
        };
        const abort = () => {
          end();
          reject(abortError(signal));
        };
        if (signal.aborted) {
          abort();
          return;
        }
        waiting.add(wake);
        signal.addEventListener("abort", abort);
      });
    },
  };
}

/** grpc.health.v1.Health, by gRPC's health checking protocol (grpc/doc/health-checking.md). */
export function createHealth(state: HealthState): Handlers<typeof Health> {
  const status = () => (state.serving ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  return {
    async check({ service }) {
      if (!state.services.has(service)) {
        throw new PrismError("service_not_found", "no such service");
      }
      return { status: status() };
    },

    async list() {
      return {
        statuses: Object.fromEntries([...state.services].map((name) => [name, { status: status() }])),
      };
    },

    async *watch({ service }, call) {
      if (!state.services.has(service)) {
        // The protocol keeps the stream open, because the service could appear. Here none appears
        // before a restart.
        yield [{ status: ServingStatus.SERVICE_UNKNOWN }];
      }
      for (;;) {
        const { serving } = state;
        if (state.services.has(service)) {
          yield [{ status: status() }];
        }
        if (!serving) {
          // A watcher would hold up the shutdown that it was just told of.
          throw new PrismError("shutting_down", "the server is shutting down");
        }
        // It may have changed while the reader took the last message.
        if (state.serving) {
          await state.changed(call);
        }
      }
    },
  };
}
