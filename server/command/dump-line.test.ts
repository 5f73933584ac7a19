import { expect, test } from "vitest";
import { entryLine, LineError, listLine, parseLine } from "./dump-line.ts";

const line = (fields: object) => parseLine(JSON.stringify(fields));

test("a line says what it was made of", () => {
  const text = entryLine("k\n", Buffer.from("\u{feff}ä"), undefined);
  expect(text).toBe('{"key":"k\\n","value":"\u{feff}ä"}\n');
  expect(parseLine(text)).toEqual({ key: "k\n", value: "\u{feff}ä", expiresAtMs: undefined });
  const bytes = entryLine("k", Buffer.of(255), 1_800_000_000_000);
  expect(bytes).toBe('{"key":"k","value_base64":"/w==","expires_at":"2027-01-15T08:00:00.000Z"}\n');
  expect(parseLine(bytes)).toEqual({ key: "k", value: Buffer.of(255), expiresAtMs: 1_800_000_000_000 });
  expect(line({ key: "k", value: "", expires_at: "2026-01-01T00:00:00+01:00" })).toMatchObject({
    expiresAtMs: Date.UTC(2025, 11, 31, 23),
  });
  const list = listLine("l", [Buffer.from("a"), Buffer.of(255)], true);
  expect(list).toBe('{"list":"l","append":true,"values":["a",{"value_base64":"/w=="}]}\n');
  expect(parseLine(list)).toEqual({ list: "l", append: true, values: ["a", Buffer.of(255)] });
});

test("a bad line says what is wrong with it", () => {
  const bad: [read: () => unknown, told: string][] = [
    [() => parseLine("{"), "it is not JSON"],
    [() => parseLine("[]"), "it is no JSON object"],
    [() => line({ key: "", value: "" }), "key must be 1 to 1024 bytes"],
    [() => line({ key: "ä".repeat(513), value: "" }), "key must be 1 to 1024 bytes"],
    [() => line({ value: "" }), "key must be there"],
    [() => line({ key: "k" }), "value must be there"],
    [() => line({ key: "k", value: "\ud800" }), "value must be text of whole characters"],
    [() => line({ key: "k", value: 1 }), "value must be text"],
    [() => line({ key: "k", value: "", value_base64: "" }), "expected one of both"],
    [() => line({ key: "k", value_base64: "a" }), "value_base64 is no base64"],
    [() => line({ key: "k", value: "", expires_at: "soon" }), "expires_at must be a time"],
    [() => line({ key: "k", value: "", expires_at: "2026-01-01T00:00:00" }), "expires_at must be a time"],
    [() => line({ key: "k", value: "", expires_at: "9999-01-01T00:00:00Z" }), "within 100 years"],
    [() => line({ key: "k", value: "", ttl: 1 }), 'there is no field "ttl"'],
    [() => line({ list: "", values: [] }), "list must be 1 to 1024 bytes"],
    [() => line({ list: "l", values: "a" }), "values must be an array"],
    [() => line({ list: "l", values: [null] }), "value must be text"],
    [() => line({ list: "l", values: [{ value: "a" }] }), 'there is no field "value"'],
    [() => line({ list: "l", values: [], append: 1 }), "append must be true or false"],
  ];
  for (const [read, told] of bad) {
    expect(read).toThrow(LineError);
    expect(read).toThrow(told);
  }
});
