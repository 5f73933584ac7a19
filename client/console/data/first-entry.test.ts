import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startTestServer } from "../../../tests/helpers/server.ts";
import { curlOfFirstEntry } from "./first-entry.ts";

test("the line works as it is", async () => {
  await using server = await startTestServer();
  const target = { dataUrl: server.baseUrl, adminUrl: "", namespace: "default", asksWhoCalls: false };
  const { stdout } = await promisify(execFile)("sh", ["-c", curlOfFirstEntry(target)]);
  expect(JSON.parse(stdout)).toEqual({ success: true });
});

test("it names a namespace, and takes the key from a variable", () => {
  const target = { dataUrl: "http://a:1", adminUrl: "", namespace: "orders", asksWhoCalls: true };
  expect(curlOfFirstEntry(target)).toBe(
    `curl http://a:1/prism.interfaces.keyvalue.KeyValueBasicInterface/Set \\
  -H "Authorization: Bearer $PRISM_TOKEN" \\
  -H 'Content-Type: application/json' -d '{"namespace":"orders","key":"hello","value":"d29ybGQ="}'`,
  );
});
