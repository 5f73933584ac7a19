import { describe, expect, test } from "vitest";
import { bytesOf } from "./bytes.ts";
import {
  compactJson,
  draftOf,
  editModesOf,
  flawOf,
  flawOfJson,
  indentJson,
  modesOf,
  typed,
} from "./draft.ts";

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0xff);

describe("a value is first shown", () => {
  test.each([
    ["text", bytesOf("plain"), ["text", "hex"]],
    ["empty text", bytesOf(""), ["text", "hex"]],
    ["a number", bytesOf("12"), ["text", "hex"]],
    ["JSON", bytesOf('{"a":1}'), ["json", "text", "hex"]],
    [
      "long JSON, which takes time",
      bytesOf(JSON.stringify("x".repeat(70_000).split(""))),
      ["text", "json", "hex"],
    ],
    ["a picture", PNG, ["image", "hex"]],
    ["markup that draws", bytesOf("<svg xmlns='http://www.w3.org/2000/svg'/>"), ["text", "hex"]],
    ["no UTF-8", Uint8Array.of(0xff, 0), ["hex"]],
  ])("%s", (_name, value, modes) => {
    expect(modesOf(value)).toEqual(modes);
  });
});

describe("a value is first edited", () => {
  test.each([
    ["text", bytesOf(""), ["text", "json", "hex"]],
    ["JSON", bytesOf("[1]"), ["json", "text", "hex"]],
    ["long text", bytesOf("x".repeat(70_000)), ["whole", "text", "json", "hex"]],
    ["very long text", bytesOf("x".repeat(300_000)), ["whole", "text", "json"]],
    ["text for which there is no field", bytesOf("x".repeat(1_100_000)), ["whole"]],
    ["a picture", PNG, ["whole", "hex"]],
    ["no UTF-8", Uint8Array.of(0xff), ["hex"]],
    ["much that is no UTF-8", new Uint8Array(70_000).fill(0xff), ["whole", "hex"]],
    ["very much that is no UTF-8", new Uint8Array(300_000).fill(0xff), ["whole"]],
  ])("%s", (_name, value, modes) => {
    expect(editModesOf(value)).toEqual(modes);
  });
});

describe("a draft", () => {
  test.each(["text", "json", "hex"] as const)("as %s is the value until something is typed", (mode) => {
    const value = bytesOf('{ "a":1 }\r\n');
    expect(draftOf(value, mode).value).toBe(value);
  });

  test("keeps the ends of lines that a text field does not know", () => {
    const draft = draftOf(bytesOf("a\r\nb\r\n"), "text");
    expect(draft).toMatchObject({ text: "a\nb\n", lineEnd: "\r\n" });
    expect(typed(draft, "a\nc\n").value).toEqual(bytesOf("a\r\nc\r\n"));
    expect(draftOf(bytesOf("a\r\nb\n"), "text").lineEnd).toBe("mixed");
    expect(draftOf(bytesOf("a\rb"), "text").lineEnd).toBe("mixed");
  });

  test("in hexadecimal is bytes, or says at which place it is not", () => {
    const draft = draftOf(PNG, "hex");
    expect(draft.text).toBe("89 50 4e 47 ff");
    expect(typed(draft, "00 FF\nab").value).toEqual(Uint8Array.of(0, 0xff, 0xab));
    const wrong = typed(draft, "00 xf");
    expect(wrong.value).toBeUndefined();
    expect(flawOf(wrong)).toMatchObject({ at: 3 });
    expect(flawOf(typed(draft, "00 f\n"))).toMatchObject({ at: 4 });
    expect(flawOf(typed(draft, ""))).toBeUndefined();
  });

  test("of JSON that is none says where, and can be saved as it is", () => {
    const wrong = typed(draftOf(bytesOf("{}"), "json"), '{\n  "a": 1,\n}');
    expect(wrong.value).toEqual(bytesOf('{\n  "a": 1,\n}'));
    expect(flawOf(wrong)).toEqual({ message: "This is no JSON from line 3, column 1 on", at: 12 });
    expect(flawOfJson('{"a":')).toMatchObject({ at: 5 });
  });
});

describe("JSON is spaced", () => {
  const EXACT = '{"n":12345678901234567890,"n":1.0,"s":"a\\"b: {,}","e":{},"l":[ ],"x":[1,[true,null]]}';

  test("without a change of what it says", () => {
    expect(indentJson(EXACT)).toBe(`{
  "n": 12345678901234567890,
  "n": 1.0,
  "s": "a\\"b: {,}",
  "e": {},
  "l": [],
  "x": [
    1,
    [
      true,
      null
    ]
  ]
}`);
    expect(compactJson(indentJson(EXACT))).toBe(EXACT.replace("[ ]", "[]"));
  });

  test("however deep it is, in bounded width", () => {
    const deep = "[".repeat(5000) + "]".repeat(5000);
    expect(indentJson(deep).length).toBeLessThan(5000 * 2 * 45);
    expect(compactJson(indentJson(deep))).toBe(deep);
  });

  test("not, where it is none", () => {
    expect(indentJson('{"a": 1 ')).toBe('{"a": 1 ');
  });
});
