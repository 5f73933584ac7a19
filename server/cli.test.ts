import { describe, expect, test } from "vitest";
import { parseCommand, UsageError } from "./cli.ts";
import { helpText } from "./command/help.ts";
import { WORDS } from "./command/table.ts";
import { SOURCES } from "./config/settings.ts";
import { oneOf } from "./nearest.ts";

const usageError = async (argv: string[]): Promise<unknown> => {
  try {
    return await parseCommand(argv);
  } catch (error) {
    return error instanceof UsageError ? [error.message, error.topic] : error;
  }
};

test.each([
  ["", { kind: "help", topic: undefined }],
  ["--help", { kind: "help", topic: undefined }],
  ["-h", { kind: "help", topic: undefined }],
  ["help", { kind: "help", topic: undefined }],
  ["help serve", { kind: "help", topic: "serve" }],
  ["--version", { kind: "version" }],
  ["version", { kind: "version" }],
  ["serve", { kind: "serve", file: undefined, flags: {} }],
  ["serve --help", { kind: "help", topic: "serve" }],
  ["serve --memory -h", { kind: "help", topic: "serve" }],
  ["serve --config f.yaml", { kind: "serve", file: "f.yaml", flags: {} }],
  ["serve --memory", { kind: "serve", file: undefined, flags: { memory: true } }],
  [
    "serve --config=f --listen :0 --port 1 --admin-listen=[::1]:1 --data-dir d",
    {
      kind: "serve",
      file: "f",
      flags: { listen: ":0", port: "1", "admin-listen": "[::1]:1", "data-dir": "d" },
    },
  ],
  ["serve --listen a:1 --listen b:2", { kind: "serve", file: undefined, flags: { listen: "b:2" } }],
  ["config check f.yaml", { kind: "config-check", file: "f.yaml" }],
  ["config check -- -f", { kind: "config-check", file: "-f" }],
  ["config check --diff f.yaml", { kind: "config-diff", file: "f.yaml", admin: undefined }],
  [
    "config check f.yaml --diff --admin [::1]:8090",
    { kind: "config-diff", file: "f.yaml", admin: { host: "::1", port: 8090 } },
  ],
  ["config schema", { kind: "config-schema" }],
  ["doctor", { kind: "doctor", file: undefined, json: false }],
  ["doctor --config f --json", { kind: "doctor", file: "f", json: true }],
  ["config --help", { kind: "help", topic: "config" }],
  ["config check --help", { kind: "help", topic: "config" }],
  ["auth hash", { kind: "auth-hash", stdin: false }],
  ["auth hash --stdin", { kind: "auth-hash", stdin: true }],
  ["auth --help", { kind: "help", topic: "auth" }],
  ["get k", { kind: "call", name: "get", args: ["k"], options: {} }],
  ["get -h", { kind: "help", topic: "get" }],
  [
    "set k - --ttl 5 --address=a:1 --json",
    { kind: "call", name: "set", args: ["k", "-"], options: { ttl: "5", address: "a:1", json: true } },
  ],
  ["set k -- -v", { kind: "call", name: "set", args: ["k", "-v"], options: {} }],
  ["set k -- -1", { kind: "call", name: "set", args: ["k", "-1"], options: {} }],
  ["incr k -5", { kind: "call", name: "incr", args: ["k", "-5"], options: {} }],
  ["incr k --initial -5", { kind: "call", name: "incr", args: ["k"], options: { initial: "-5" } }],
  ["range q -10 -1", { kind: "call", name: "range", args: ["q", "-10", "-1"], options: {} }],
  ["del a b c", { kind: "call", name: "del", args: ["a", "b", "c"], options: {} }],
  ["record get r a b", { kind: "call", name: "record get", args: ["r", "a", "b"], options: {} }],
  ["completion zsh", { kind: "call", name: "completion", args: ["zsh"], options: {} }],
  ["scan", { kind: "call", name: "scan", args: [], options: {} }],
  ["ns list --json", { kind: "call", name: "ns list", args: [], options: { json: true } }],
  ["ns -h", { kind: "help", topic: "ns" }],
])("prism %s", async (line, command) => {
  expect(await parseCommand(line === "" ? [] : line.split(" "))).toEqual(command);
});

test.each<[string[], string, string | undefined]>([
  [["--config", "f", "serve"], 'unknown option "--config"; options come after the command', undefined],
  [["sreve"], 'unknown command "sreve"; did you mean "serve"?', undefined],
  [["server"], 'unknown command "server"; did you mean "serve"?', undefined],
  [[""], 'unknown command ""', undefined],
  [["serve", "now"], 'unexpected argument "now"', "serve"],
  [["serve", "--color"], "unknown option '--color'", "serve"],
  [["serve", "--lisen", ":1"], "unknown option '--lisen'; did you mean \"--listen\"?", "serve"],
  [["serve", "--memory", "--confg=f"], "unknown option '--confg'; did you mean \"--config\"?", "serve"],
  [["help", "srve"], `no help for "srve"; ${oneOf(WORDS, "srve")}`, undefined],
  [["help", "serve", "now"], 'unexpected argument "now"', "help"],
  [["serve", "-p"], "unknown option '-p'", "serve"],
  [["serve", "--listen"], "option '--listen <value>' argument missing", "serve"],
  [["serve", "--listen", "--memory"], "option '--listen' argument is ambiguous", "serve"],
  [["serve", "--memory=yes"], "option '--memory' does not take an argument", "serve"],
  [["serve", "--config", ""], "option --config needs a file name", "serve"],
  [["config", "check", "f", "--admin", ":1"], "option --admin goes with --diff", "config"],
  [
    ["config", "check", "f", "--diff", "--admin", "http://a"],
    'option --admin: expected "host:port", "[ipv6]:port" or ":port", with a port from 0 to 65535',
    "config",
  ],
  [["doctor", "--config", ""], "option --config needs a file name", "doctor"],
  [["config"], '"config" needs a command; expected: config check FILE, config schema', "config"],
  [["config", "show"], 'unknown command "config show"; expected: config check FILE, config schema', "config"],
  [["config", "check"], '"config check" needs FILE', "config"],
  [["config", "check", ""], '"config check" needs FILE', "config"],
  [["config", "check", "a", "b"], 'unexpected argument "b"', "config"],
  [["config", "check", "a", "--memory"], "unknown option '--memory'", "config"],
  [["auth"], '"auth" needs a command; expected: auth hash', "auth"],
  [["auth", "hsah"], 'unknown command "auth hsah"; expected: auth hash', "auth"],
  [
    ["auth", "hash", "s3cret"],
    '"auth hash" takes no key as an argument, where others can read it; use --stdin',
    "auth",
  ],
  [["get"], '"get" needs KEY', "get"],
  [["get", ""], '"get" needs KEY', "get"],
  [["get", "a", "b"], 'unexpected argument "b"', "get"],
  [["get", "a", "--jsn"], "unknown option '--jsn'; did you mean \"--json\"?", "get"],
  [["del"], '"del" needs KEY', "del"],
  [
    ["ns", "make"],
    'unknown command "ns make"; expected: ns list, ns get NAME, ns create NAME, ns delete NAME',
    "ns",
  ],
  [["gte", "a"], 'unknown command "gte"; did you mean "get"?', undefined],
])("prism %j is refused", async (argv, message, topic) => {
  expect(await usageError(argv)).toEqual([message, topic]);
});

describe("help", () => {
  test("the whole names every command and exit code, and ends with a line feed", async () => {
    for (const part of [
      ...WORDS.map((word) => `prism ${word}`),
      "prism config check FILE",
      ...[0, 1, 2, 3, 4, 5, 6].map((code) => `\n  ${code}  `),
    ]) {
      expect(await helpText()).toContain(part);
    }
    expect(await helpText()).toMatch(/\n$/);
    expect(await helpText("config")).toContain("usage: prism config check FILE [options]");
    expect(await helpText("set")).toContain("  --address HOST:PORT [PRISM_ADDRESS]\n");
    expect(await helpText("set")).toContain("without a flag:\n  PRISM_TOKEN\n");
  });

  test("that of serve names every flag and variable, and every flag in it is taken", async () => {
    const text = await helpText("serve");
    for (const { flag, env, argument = "", help } of SOURCES) {
      expect(text).toContain(env);
      expect(text.replace(/\s+/g, " ")).toContain(help);
      if (flag === undefined) {
        continue;
      }
      expect(text).toContain(`${flag} ${argument}`.trimEnd());
      expect(await parseCommand(["serve", ...(argument === "" ? [flag] : [flag, "x"])])).toMatchObject({
        kind: "serve",
      });
    }
  });

  test("no line is too long for a terminal", async () => {
    for (const topic of [undefined, ...WORDS]) {
      for (const line of (await helpText(topic)).split("\n")) {
        expect(line.length).toBeLessThanOrEqual(96);
      }
    }
  });
});
