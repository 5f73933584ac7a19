import { describe, expect, test } from "vitest";
import { helpText, parseCommand, UsageError } from "./cli.ts";
import { SOURCES } from "./config/settings.ts";

const usageError = (argv: string[]): unknown => {
  try {
    return parseCommand(argv);
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
  ["config --help", { kind: "help", topic: "config" }],
  ["config check --help", { kind: "help", topic: "config" }],
  ["auth hash", { kind: "auth-hash", stdin: false }],
  ["auth hash --stdin", { kind: "auth-hash", stdin: true }],
  ["auth --help", { kind: "help", topic: "auth" }],
])("prism %s", (line, command) => {
  expect(parseCommand(line === "" ? [] : line.split(" "))).toEqual(command);
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
  [["help", "srve"], 'no help for "srve"; expected one of: serve, config, auth', undefined],
  [["help", "serve", "now"], 'unexpected argument "now"', undefined],
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
  [["config"], '"config" needs a command: config check FILE', "config"],
  [["config", "show"], 'unknown command "config show"; expected: config check FILE', "config"],
  [["config", "check"], '"config check" needs a file name', "config"],
  [["config", "check", ""], '"config check" needs a file name', "config"],
  [["config", "check", "a", "b"], 'unexpected argument "b"', "config"],
  [["config", "check", "a", "--memory"], "unknown option '--memory'", "config"],
  [["auth"], '"auth" needs a command; expected: auth hash', "auth"],
  [["auth", "hsah"], 'unknown command "auth hsah"; expected: auth hash', "auth"],
  [
    ["auth", "hash", "s3cret"],
    '"auth hash" takes no key as an argument, where others can read it; use --stdin',
    "auth",
  ],
])("prism %j is refused", (argv, message, topic) => {
  expect(usageError(argv)).toEqual([message, topic]);
});

describe("help", () => {
  test("the whole names every command and exit code, and ends with a line feed", () => {
    for (const part of [
      "prism serve",
      "prism config check FILE",
      "prism auth hash",
      "prism version",
      "\n  0  ",
      "\n  1  ",
      "\n  2  ",
    ]) {
      expect(helpText()).toContain(part);
    }
    expect(helpText()).toMatch(/\n$/);
    expect(helpText("config")).toContain("prism config check [--diff [--admin HOST:PORT]] FILE");
  });

  test("that of serve names every flag and variable, and every flag in it is taken", () => {
    for (const { flag, env, argument = "", help } of SOURCES) {
      expect(helpText("serve")).toContain(env);
      expect(helpText("serve").replace(/\s+/g, " ")).toContain(help);
      if (flag === undefined) {
        continue;
      }
      expect(helpText("serve")).toContain(`${flag} ${argument}`.trimEnd());
      expect(parseCommand(["serve", ...(argument === "" ? [flag] : [flag, "x"])])).toMatchObject({
        kind: "serve",
      });
    }
  });

  test("no line is too long for a terminal", () => {
    for (const topic of [undefined, "serve", "config", "auth"] as const) {
      expect(
        Math.max(
          ...helpText(topic)
            .split("\n")
            .map((line) => line.length),
        ),
      ).toBeLessThanOrEqual(96);
    }
  });
});
