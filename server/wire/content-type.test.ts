import { expect, test } from "vitest";
import { mediaType } from "./content-type.ts";

test.each([
  ["application/json", "application/json"],
  ["Application/GRPC+Proto", "application/grpc+proto"],
  ["application/json;", "application/json"],
  ["application/json ;; ;", "application/json"],
  ["application/json; foo=bar", "application/json"],
  ['application/json;charset="utf-8"', "application/json"],
  ["application/json \t;\tCharset=UTF8", "application/json"],
  ['application/json; a="x;charset=latin1\\""; b=c', "application/json"],
  ['application/json; charset="\\utf\\-8"', "application/json"],
  ["image/jpeg; q=1", "image/jpeg"],
  ["", undefined],
  ["json", undefined],
  ["application/", undefined],
  ["application/json, text/plain", undefined],
  ["application/json; charset=latin1", undefined],
  ["application/json; charset = utf-8", undefined],
  ["application/json; charset=", undefined],
  ['application/json; a="', undefined],
  ['application/json; a="b"c', undefined],
  ["application/json; nothing", undefined],
])("%s", (field, type) => {
  expect(mediaType(field)).toBe(type);
});
