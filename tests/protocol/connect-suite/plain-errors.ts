/**
 * For `node --import`: importers of `calls/status.ts` get `plain-status.ts`, and that alone gets
 * the original.
 */
import { registerHooks } from "node:module";

const ORIGINAL = new URL("../../../server/calls/status.ts", import.meta.url).href;
const PLAIN = new URL("plain-status.ts", import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    return resolved.url === ORIGINAL && context.parentURL !== PLAIN ? { ...resolved, url: PLAIN } : resolved;
  },
});
