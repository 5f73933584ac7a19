import { createMemoryCatalog } from "./memory.ts";
import { describeCatalog } from "./suite.ts";

describeCatalog({
  name: "memory",
  durable: false,
  shared: false,
  async place() {
    return { create: createMemoryCatalog, async [Symbol.asyncDispose]() {} };
  },
});
