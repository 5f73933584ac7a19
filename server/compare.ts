import { z } from "zod";
import { ADMIN_KEY, type AdminAnswer, callAdmin, whyUnanswered } from "./admin-call.ts";
import { type Address, hostPort } from "./config/address.ts";
import { type Change, diff } from "./config/diff.ts";
import { loadConfig } from "./config/load.ts";
import { redacted } from "./config/redacted.ts";
import { type Env, SOURCES } from "./config/settings.ts";
import { PrismError } from "./errors.ts";

const runningSchema = z.object({
  settings: z.record(z.string(), z.unknown()),
  overridden: z.array(z.string()),
});

/** How a file differs from what a gateway has in force. */
export interface Comparison {
  /** The gateway's admin address that was asked. */
  readonly asked: string;
  /** Without settings that a flag or a variable of the gateway gives: no file changes them. */
  readonly changes: readonly Change[];
}

/**
 * Checks a file and compares it with the configuration of a running gateway. `admin` is the
 * gateway's admin address; `undefined` = the one in the file. Secrets are not compared. Throws
 * {@link ConfigError}, and {@link PrismError} if the gateway does not tell.
 */
export async function compareWithRunning(
  file: string,
  admin: Address | undefined,
  env: Env,
  cwd: string,
): Promise<Comparison> {
  // The variables of this shell say nothing about the gateway.
  const own = new Set<string>(SOURCES.map((source) => source.env));
  const plain = Object.fromEntries(Object.entries(env).filter(([name]) => !own.has(name)));
  const { settings, admin: ownAdmin } = loadConfig({ file, env: plain, flags: {}, cwd });
  const asked = hostPort(reachable(admin ?? ownAdmin.listen));
  const running = await ask(asked, env[ADMIN_KEY]);
  const isOverridden = (path: string) =>
    running.overridden.some((each) => path === each || path.startsWith(`${each}.`));
  const wanted: unknown = JSON.parse(JSON.stringify(redacted(settings)));
  return {
    asked,
    changes: diff(running.settings, wanted).filter(({ path }) => !isOverridden(path.join("."))),
  };
}

/** Where to reach what listens there. Nobody can connect to an address that stands for all. */
function reachable({ host, port }: Address) {
  return { address: host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host, port };
}

async function ask(address: string, key: string | undefined): Promise<z.output<typeof runningSchema>> {
  const refuse = (why: string, cause?: unknown) =>
    new PrismError("store_unavailable", `the gateway's admin port at ${address} ${why}`, { cause });
  let answer: AdminAnswer;
  try {
    answer = await callAdmin({ base: `http://${address}`, path: "/config", key });
  } catch (error) {
    throw refuse(`does not answer (${whyUnanswered(error)}); --admin HOST:PORT says where it is`, error);
  }
  if (answer.status !== 200) {
    throw refuse(`does not tell its configuration: HTTP ${answer.status}`);
  }
  const running = runningSchema.safeParse(answer.json);
  if (!running.success) {
    throw refuse("answers something else than a configuration");
  }
  return running.data;
}
