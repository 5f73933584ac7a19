import type { Config } from "./config/config.ts";
import { redacted } from "./config/redacted.ts";

/**
 * `GET /config`: the configuration in force, without secrets, as `{settings, overridden}`: every
 * setting with its default, and which of them a flag or a variable gives.
 */
export function createConfigRoute(config: () => Config) {
  return async () => {
    const { settings, overridden } = config();
    return { settings: redacted(settings), overridden };
  };
}
