import { PrismError } from "../../errors.ts";
import type { Policy } from "./policy.ts";

/**
 * Refuses calls while `isServing` says no, for a port that goes on when the gateway is taken out of
 * service.
 */
export function createServingPolicy(isServing: () => boolean): Policy {
  return {
    on: () => ({
      begin() {
        if (!isServing()) {
          throw new PrismError("shutting_down", "the gateway takes no calls about data now");
        }
        return undefined;
      },
    }),
  };
}
