/**
 * Runs the demo against the gateway at PRISM_ADDRESS. If that is not set it starts RFC-026's two
 * processes itself: a proxy, and the plugin that holds the data.
 */
import { fileURLToPath } from "node:url";
import { spawnServer } from "../tests/helpers/process.ts";

if (process.env.PRISM_ADDRESS !== undefined) {
  await import("./poc1-demo.ts");
} else {
  await using plugin = await spawnServer(["--memory"]);
  process.env.PRISM_PLUGIN = plugin.address;
  await using proxy = await spawnServer(["--config", fileURLToPath(new URL("proxy.yaml", import.meta.url))]);
  process.env.PRISM_ADDRESS = proxy.address;
  await import("./poc1-demo.ts");
}
