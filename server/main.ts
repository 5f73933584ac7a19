import { closeSync, openSync } from "node:fs";
import type { Logger } from "pino";
import type { App } from "./app.ts";
import { parseCommand, UsageError } from "./cli.ts";
import { CommandError, EXIT, type ExitCode } from "./command/exit-codes.ts";
import { helpText } from "./command/help.ts";
import { type Address, hostPort } from "./config/address.ts";
import type { Config } from "./config/config.ts";
import { ConfigError } from "./config/problem.ts";
import type { Flags } from "./config/settings.ts";
import { PrismError } from "./errors.ts";
import { endLogOutput } from "./log-output.ts";
import { firstSignal } from "./signals.ts";
import { readVersion } from "./version.ts";

// What only some commands need is imported late: the others answer at once.
async function main(argv: readonly string[]): Promise<void> {
  const command = await parseCommand(argv);
  switch (command.kind) {
    case "serve":
      try {
        return await serve(command.file, command.flags);
      } finally {
        endLogOutput();
      }
    case "config-check": {
      const { loadConfig } = await import("./config/load.ts");
      loadConfig({ file: command.file, env: process.env, flags: {}, cwd: process.cwd() });
      process.stdout.write(`${command.file}: ok\n`);
      return;
    }
    case "config-schema": {
      const { configJsonSchema } = await import("./config/json-schema.ts");
      process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      return;
    }
    case "doctor":
      return examine(command.file, command.json);
    case "auth-hash": {
      const { createApiKey, hashApiKey } = await import("./auth/api-keys.ts");
      const key = command.stdin ? await readKey() : createApiKey();
      process.stdout.write(`${command.stdin ? "" : `key:  ${key}\n`}hash: ${hashApiKey(key)}\n`);
      return;
    }
    case "config-diff":
      return printDiff(command.file, command.admin);
    case "call": {
      const { runCall } = await import("./command/run.ts");
      process.exitCode = await runCall(command);
      return;
    }
    case "help":
      process.stdout.write(await helpText(command.topic));
      return;
    case "version":
      process.stdout.write(`${readVersion()}\n`);
      return;
  }
}

/** Shorter keys can be found by trying, with nothing but their hash. */
const MIN_KEY_CHARACTERS = 20;
const MAX_KEY_CHARACTERS = 8192;

/** The key on standard input, without the line feed behind it. */
async function readKey(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("latin1")) {
    text += chunk;
    if (text.length > 2 * MAX_KEY_CHARACTERS) {
      break;
    }
  }
  const key = text.replace(/\r?\n$/, "");
  if (!/^[\w.~+/-]+=*$/.test(key) || key.length < MIN_KEY_CHARACTERS || key.length > MAX_KEY_CHARACTERS) {
    throw new UsageError(
      `a key has ${MIN_KEY_CHARACTERS} to ${MAX_KEY_CHARACTERS} characters, all of them letters, digits or "-._~+/" ("=" at its end)`,
      "auth",
    );
  }
  return key;
}

async function examine(file: string | undefined, json: boolean): Promise<void> {
  const { loadConfig } = await import("./config/load.ts");
  const { examineStores, hasProblem, renderReport } = await import("./doctor.ts");
  const config = loadConfig({ file, env: process.env, flags: {}, cwd: process.cwd() });
  const reports = await examineStores(config);
  const lines = json
    ? reports.flatMap(({ findings, ...of }) =>
        findings.map((finding) => `${JSON.stringify({ ...of, ...finding })}\n`),
      )
    : reports.map(renderReport);
  process.stdout.write(lines.join(""));
  process.exitCode = hasProblem(reports) ? EXIT.failed : EXIT.done;
}

async function printDiff(file: string, admin: Address | undefined): Promise<void> {
  const { compareWithRunning } = await import("./compare.ts");
  const { renderChange } = await import("./config/diff.ts");
  const { asked, changes } = await compareWithRunning(file, admin, process.env, process.cwd());
  const same = changes.length === 0;
  const what = `${same ? "and" : "but not"} what is in force at ${asked}`;
  process.stdout.write([`${file}: ok, ${what}`, ...changes.map(renderChange), ""].join("\n"));
  process.exitCode = same ? EXIT.done : EXIT.different;
}

async function serve(file: string | undefined, flags: Flags): Promise<void> {
  const { loadConfig } = await import("./config/load.ts");
  const source = { file, env: process.env, flags, cwd: process.cwd() };
  const config = loadConfig(source);
  const { createApp } = await import("./app.ts");
  const { createLog } = await import("./log.ts");
  const { createReloads } = await import("./reloads.ts");
  const { createServiceManager } = await import("./service-manager.ts");
  const log = await createLog(config.logging);
  const manager = createServiceManager(process.env, log);
  const load = () => loadConfig({ ...source, mayBeEmpty: false });
  const reloads = createReloads({ config, log, load, manager });
  const app = await createApp(config, {
    log,
    load: (text) => loadConfig({ ...source, text, checkFiles: false }),
  });
  // Before `start`, so that a signal during it is not lost.
  const stopRequested = firstSignal();
  onHangUp(() => {
    app.reopenAudit();
    reloads.request("SIGHUP");
  });
  const { data, admin } = await app.start();
  log.info(
    { version: readVersion(), listen: hostPort(data), admin_listen: admin && hostPort(admin) },
    "ready",
  );
  if (process.stdout.isTTY) {
    process.stdout.write(tryThis(config, data.port));
  }
  manager.tell("ready");
  manager.keepAlive();
  reloads.begin(app);
  const signal = await stopRequested;
  reloads.close();
  manager.tell("stopping");
  await stop(app, signal, log);
}

async function stop(app: App, signal: NodeJS.Signals, log: Logger): Promise<void> {
  log.info({ signal }, "stopping");
  await app.stop();
  log.info("stopped");
}

/**
 * Calls `reload` for each SIGHUP, but stops the server if the terminal is gone that it was started
 * from. The system sends the same signal then, and who closes a terminal means that.
 */
function onHangUp(reload: () => void): void {
  const onTerminal = process.stdout.isTTY && hasTerminal();
  process.on("SIGHUP", () => {
    if (onTerminal && !hasTerminal()) {
      process.kill(process.pid, "SIGTERM");
    } else {
      reload();
    }
  });
}

/** Whether the process has a terminal, which can be opened by this name. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}

/** Two lines for somebody who started the server by hand. */
function tryThis(config: Config, port: number): string {
  const namespace = config.namespaces[0]?.name ?? "";
  const scheme = config.server.tls === undefined ? "http" : "https";
  const url = `${scheme}://localhost:${port}/prism.interfaces.keyvalue.KeyValueBasicInterface`;
  const credentials = config.auth === undefined ? "" : " -H 'Authorization: Bearer KEY'";
  const curl = (call: string, request: object) =>
    `curl ${url}/${call}${credentials} -H 'Content-Type: application/json' -d '${JSON.stringify({ namespace, ...request })}'`;
  const value = Buffer.from("world").toString("base64");
  return `Try this:  ${curl("Set", { key: "hello", value })}\n           ${curl("Get", { key: "hello" })}\n`;
}

/** Reports an error to the operator on standard error, with a stack only for a defect. */
function report(error: unknown): ExitCode {
  if (error instanceof UsageError || error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.misused;
  }
  if (error instanceof CommandError) {
    process.stderr.write(`prism: ${error.message}\n`);
    return error.exitCode;
  }
  const expected = error instanceof PrismError || (error instanceof Error && "syscall" in error);
  process.stderr.write(
    `prism: ${error instanceof Error ? (expected ? error.message : error.stack) : String(error)}\n`,
  );
  return EXIT.failed;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = report(error);
}
