import { join } from "node:path";
import { temporaryFolder } from "../../../tests/helpers/process.ts";
import { describeTails } from "../conformance/tails.ts";
import { createBackend } from "../factory.ts";

describeTails("sqlite", async () => {
  const folder = await temporaryFolder();
  const backend = await createBackend({ type: "sqlite", path: join(folder.path, "prism.db") });
  await backend.open();
  return {
    backends: [backend],
    async [Symbol.asyncDispose]() {
      await backend.close();
      await folder[Symbol.asyncDispose]();
    },
  };
});
