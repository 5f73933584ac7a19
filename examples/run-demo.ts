/** Runs the demo against the gateway at PRISM_ADDRESS, or, where that is not set, against one that it starts for itself in memory. */
import { spawnServer } from "../server/testing/process.ts";

if (process.env.PRISM_ADDRESS !== undefined) {
  await import("./poc1-demo.ts");
} else {
  await using server = await spawnServer(["--memory"]);
  process.env.PRISM_ADDRESS = server.address;
  await import("./poc1-demo.ts");
}
