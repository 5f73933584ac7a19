import { expect, test } from "vitest";
import { parseAddress } from "./address.ts";

test.each([
  ["0.0.0.0:8980", "0.0.0.0", 8980],
  ["localhost:0", "localhost", 0],
  ["data-1.example_net.:65535", "data-1.example_net.", 65535],
  [":8980", "0.0.0.0", 8980],
  ["[::1]:8980", "::1", 8980],
  ["[::]:1", "::", 1],
])("%s is an address", (text, host, port) => {
  expect(parseAddress(text)).toEqual({ host, port });
});

test.each([
  "",
  ":",
  "localhost",
  "8980",
  "localhost:",
  "localhost:65536",
  "localhost:-1",
  "localhost:80x",
  "localhost:000080",
  " localhost:80",
  "localhost:80\n",
  "::1:8980",
  "[::1]",
  "[::1",
  "[localhost]:80",
  "[]:80",
  "256.0.0.1:80",
  "1.2.3:80",
  "http://localhost:80",
  "a/b:80",
  "*:80",
])("%j is none", (text) => {
  expect(parseAddress(text)).toBeUndefined();
});
