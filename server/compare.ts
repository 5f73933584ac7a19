import { z } from "zod";
import { type Address, hostPort } from "./config/address.ts";
import { type Change, diff } from "./config/diff.ts";
import { loadConfig } from "./config/load.ts";
import { redacted } from "./config/redacted.ts";
import { type Env, SOURCES } from "./config/settings.ts";
import { PrismError } from "./errors.ts";

/** The most bytes of a gateway's answer. Room for the largest file with all defaults. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** The variable with the key or token to show, where the gateway asks who calls. */
const ADMIN_KEY = "PRISM_ADMIN_KEY";

/** How long the gateway may take. */
const ANSWER_TIMEOUT_MS = 10_000;

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

async function ask(address: string, key = ""): Promise<z.output<typeof runningSchema>> {
  const refuse = (why: string, cause?: unknown) =>
    new PrismError("store_unavailable", `the gateway's admin port at ${address} ${why}`, { cause });
  let response: Response;
  let text: string;
  try {
    response = await fetch(`http://${address}/config`, {
      headers: key === "" ? {} : { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    text = await textOf(response);
  } catch (error) {
    const { code, name } = Object(Object(error).cause ?? error);
    throw refuse(`does not answer (${code ?? name}); --admin HOST:PORT says where it is`, error);
  }
  if (!response.ok) {
    throw refuse(`does not tell its configuration: HTTP ${response.status}`);
  }
  const answer = runningSchema.safeParse(parsed(text));
  if (!answer.success) {
    throw refuse("answers something else than a configuration");
  }
  return answer.data;
}

async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) {
      throw new RangeError(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    }
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
