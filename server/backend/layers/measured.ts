import { asPrismError } from "../../errors.ts";
import type { Backend } from "../contract.ts";
import type { OperationSeries, StoreMeter } from "../store-meter.ts";
import { wrapMethods } from "./wrapped.ts";

/**
 * Counts the calls that reach a store, with the time that it takes for them. A call that other
 * layers refuse, or that waits in them, is none; calls that they put together are one.
 */
export function createMeasuredBackend(inner: Backend, meter: StoreMeter): Backend {
  return {
    ...inner,
    ...wrapMethods(inner, (method, name) => {
      let series: OperationSeries | undefined;
      return async (namespace, argument, call) => {
        const startMs = performance.now();
        series ??= meter.of(name);
        try {
          return await method(namespace, argument, call);
        } catch (error) {
          series.fail(asPrismError(error).reason);
          throw error;
        } finally {
          series.end(performance.now() - startMs);
        }
      };
    }),
  };
}
