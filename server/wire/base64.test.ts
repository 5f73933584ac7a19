import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64 } from "./base64.ts";

/** The same rules as one expression each. */
const STANDARD = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const URL_SAFE = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2}(?:==)?|[A-Za-z0-9_-]{3}=?)?$/;

describe("decodeBase64", () => {
  test("reads both alphabets, with padding and without", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (given) => {
        const bytes = Buffer.from(given);
        const [text, url] = [bytes.toString("base64"), bytes.toString("base64url")];
        for (const each of [text, url, text.replace(/=+$/, ""), url.padEnd(text.length, "=")]) {
          expect(Buffer.from(decodeBase64(each) ?? "none")).toEqual(bytes);
        }
      }),
    );
  });

  test("takes what the two alphabets allow and nothing else", () => {
    const character = fc.constantFrom(
      ..."ABab01+/-_== \n\t\r!.,é\u0151\u{1f600}\u0000\u00ff\ud800".split(""),
    );
    fc.assert(
      fc.property(fc.array(character, { maxLength: 9 }), (characters) => {
        const text = characters.join("");
        expect(decodeBase64(text) !== undefined).toBe(STANDARD.test(text) || URL_SAFE.test(text));
      }),
      { numRuns: 20_000 },
    );
  });

  test.each([
    "hello world",
    "YQ==\n",
    " YQ==",
    "YQ=",
    "YWJjZ",
    "YQ==YQ==",
    "+_+_",
    "YWJj=",
    "====",
    "YW\u0149j",
  ])("refuses %j", (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });

  test("bits that stand for no byte do not matter", () => {
    expect(decodeBase64("-_")).toEqual(Buffer.from([0xfb]));
    expect(decodeBase64("YR==")).toEqual(Buffer.from("a"));
  });
});
