import { expect, test } from "vitest";
import { bytesOf } from "./bytes.ts";
import { previewOf } from "./preview.ts";

test("text is one line in which everything is seen", () => {
  expect(previewOf(bytesOf("a\n\u202eb"))).toEqual({ text: "a\\u000a\\u202eb", size: 6 });
  expect(previewOf(new Uint8Array(0))).toEqual({ text: "", size: 0 });
});

test("a long text is cut between characters", () => {
  expect(previewOf(bytesOf("ä".repeat(1000)))).toEqual({ text: `${"ä".repeat(200)} …`, size: 2000 });
  expect(previewOf(bytesOf(`a${"ä".repeat(1000)}`)).text).toBe(`a${"ä".repeat(199)} …`);
});

test("other bytes are hexadecimal digits", () => {
  expect(previewOf(new Uint8Array([0xff, 0x00]))).toEqual({ text: "ff 00", size: 2 });
  expect(previewOf(new Uint8Array(100).fill(0xff)).text).toBe(`${"ff ".repeat(32)}…`);
});
