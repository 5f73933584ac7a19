import { expect, test } from "vitest";
import { readPageToken, writePageToken } from "./page-token.ts";

const SCOPE = ["Call", "namespace", "start", "end", true] as const;
const position = Buffer.from("position");
const refused = expect.objectContaining({ reason: "invalid_field", field: "page_token" });

test("a token gives its position back to the same request", () => {
  for (const each of [position, Buffer.alloc(0), Buffer.alloc(1024, "é")]) {
    expect(Buffer.from(readPageToken([...SCOPE], writePageToken(SCOPE, each), "page_token"))).toEqual(each);
  }
});

test("tokens stay as they are over versions of Prism", () => {
  expect(Buffer.from(writePageToken(SCOPE, position)).toString("hex")).toMatchInlineSnapshot(
    `"01155f4b84c2489858706f736974696f6e"`,
  );
});

test.each([
  ["another call", ["Other", "namespace", "start", "end", true]],
  ["another namespace", ["Call", "other", "start", "end", true]],
  ["another flag", ["Call", "namespace", "start", "end", false]],
  ["fields whose texts join to the same", ["Call", "namespace", "sta", "rtend", true]],
  ["more fields", [...SCOPE, ""]],
])("a token of %s is refused", (_what, scope) => {
  const token = writePageToken(SCOPE, position);
  expect(() => readPageToken(scope, token, "page_token")).toThrow(refused);
});

test("a changed, cut, longer, too long or random token is refused", () => {
  const token = writePageToken(SCOPE, position);
  for (let bit = 0; bit < token.length * 8; bit++) {
    const changed = Buffer.from(token);
    changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    expect(() => readPageToken(SCOPE, changed, "page_token")).toThrow(refused);
  }
  for (let length = 0; length < token.length; length++) {
    expect(() => readPageToken(SCOPE, token.subarray(0, length), "page_token")).toThrow(refused);
  }
  const others = [Buffer.concat([token, Buffer.of(0)]), position, writePageToken(SCOPE, Buffer.alloc(1025))];
  for (const other of others) {
    expect(() => readPageToken(SCOPE, other, "page_token")).toThrow(refused);
  }
});
