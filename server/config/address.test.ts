import { expect, test } from "vitest";
import { hostOf, isLoopback, parseAddress } from "./address.ts";

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

test.each([
  "localhost",
  "Localhost",
  "127.0.0.1",
  "127.255.0.9",
  "::1",
  "0:0:0:0:0:0:0:1",
  "0000::0001",
  "::ffff:127.0.0.1",
  "::FFFF:7f00:1",
])("%s is loopback", (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each([
  "",
  "localhost.example",
  "xlocalhost",
  "127.0.0.1.example",
  "0.0.0.0",
  "128.0.0.1",
  "10.127.0.0",
  "::",
  "::2",
  "1::1",
  "::ffff:10.0.0.1",
  "[::1]",
])("%j is not", (host) => {
  expect(isLoopback(host)).toBe(false);
});

test.each([
  ["http://[::1]:80", "::1"],
  ["http://127.1", "127.0.0.1"],
  ["https://LOCALHOST/a", "localhost"],
])("the host of %s", (url, host) => {
  expect(hostOf(new URL(url))).toBe(host);
});
