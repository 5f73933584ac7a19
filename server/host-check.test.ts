import { describe, expect, test } from "vitest";
import { isLoopback } from "./config/address.ts";
import { createHostCheck } from "./host-check.ts";

const LOOPBACK = [
  "localhost",
  "localhost:8980",
  "LocalHost",
  "127.0.0.1",
  "127.0.0.1:1",
  "127.255.0.9",
  "127.1",
  "[::1]",
  "[::1]:8980",
  "[0:0:0:0:0:0:0:1]",
];

/** Among them what a browser sends for a page that would like to pass for us. */
const OTHERS = [
  "evil.example",
  "evil.example:8980",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "0.0.0.0",
  "0.0.0.0:8980",
  "[::]",
  "[::2]",
  "10.0.0.1",
  "128.0.0.1",
  "127.0.0.1.",
  "a b",
  "",
];

/** What a check says of hosts: true = it answers them. */
const answered = (check: ReturnType<typeof createHostCheck>, hosts: readonly string[]) =>
  hosts.filter((host) => check?.(host) === undefined);

describe("hosts", () => {
  test.each(["127.0.0.1", "127.8.0.1", "localhost", "::1"])("on %s: those of loopback only", (listenHost) => {
    const check = createHostCheck({ listenHost, hosts: undefined, setting: "server.hosts" });
    expect(answered(check, LOOPBACK)).toEqual(LOOPBACK);
    // A point at the end is the same address.
    expect(answered(check, OTHERS)).toEqual(["127.0.0.1."]);
  });

  test("the operator's names are answered too, with any port and in any case", () => {
    const hosts = ["prism.example", "10.0.0.1", "[::2]"];
    for (const listenHost of ["127.0.0.1", "0.0.0.0"]) {
      const check = createHostCheck({ listenHost, hosts, setting: "server.hosts" });
      const named = ["prism.example", "PRISM.example:1", "10.0.0.1", "[::2]", "[::2]:9"];
      expect(answered(check, [...named, ...LOOPBACK])).toEqual([...named, ...LOOPBACK]);
      expect(answered(check, ["evil.example", "a.prism.example", "prism.example.evil"])).toEqual([]);
    }
  });

  test('"*", or an address that is not loopback and no names: all are answered', () => {
    expect(createHostCheck({ listenHost: "127.0.0.1", hosts: "*", setting: "" })).toBeUndefined();
    for (const listenHost of ["0.0.0.0", "::", "10.0.0.1", "gateway"]) {
      expect(createHostCheck({ listenHost, hosts: undefined, setting: "" })).toBeUndefined();
      expect(isLoopback(listenHost)).toBe(false);
    }
  });

  test("an empty list is a list: names of loopback only", () => {
    const check = createHostCheck({ listenHost: "0.0.0.0", hosts: [], setting: "server.hosts" });
    expect(answered(check, ["localhost", "10.0.0.1"])).toEqual(["localhost"]);
  });

  test("the refusal names the setting, and a bounded part of the host", () => {
    const check = createHostCheck({ listenHost: "127.0.0.1", hosts: undefined, setting: "admin.hosts" });
    const { reason, message } = check?.(`${"x".repeat(5000)}.example`) ?? {};
    expect(reason).toBe("permission_denied");
    expect(message).toContain("admin.hosts");
    expect(message?.length).toBeLessThan(300);
  });
});
