import { expect, test } from "vitest";
import { nearest } from "./nearest.ts";

test.each([
  ["lisen_address", "listen_address"],
  ["listenAddress", "listen_address"],
  ["listen-address", "listen_address"],
  ["TLS", "tls"],
  ["cros", "cors"],
  ["cosr", "cors"],
  ["sorc", undefined],
  ["corss", "cors"],
  ["listen", "listen_address"],
  ["li", undefined],
  ["port", undefined],
  ["x", undefined],
  ["", undefined],
])("%s means %s", (word, meant) => {
  expect(nearest(word, ["listen_address", "tls", "cors"])).toBe(meant);
});
