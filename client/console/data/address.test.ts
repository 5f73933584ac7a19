import { expect, test } from "vitest";
import { urlOf } from "./address.ts";

const PAGE = { protocol: "https:", hostname: "prism.example.com" };

test.each([
  ["127.0.0.1:8980", "https://127.0.0.1:8980"],
  ["[::1]:8980", "https://[::1]:8980"],
  ["0.0.0.0:8980", "https://prism.example.com:8980"],
  ["[::]:8980", "https://prism.example.com:8980"],
  ["db.internal:1", "https://db.internal:1"],
])("%s is reached at %s", (address, url) => {
  expect(urlOf(address, PAGE)).toBe(url);
});
