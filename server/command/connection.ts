import { Code } from "@connectrpc/connect";
import { PrismClient, PrismError } from "../../client/node.ts";
import type { Options } from "../cli.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { textOption } from "./options.ts";
import { readFile } from "./values.ts";

/** Where a gateway listens by itself. */
const DEFAULT_ADDRESS = "127.0.0.1:8980";

/** How long a call with one answer may take. */
const CALL_TIMEOUT_MS = 10_000;

/** Calls `use` with a client as options and variables say, and turns its errors. */
export async function withClient(
  options: Options,
  use: (client: PrismClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  const address = textOption(options, "address", "PRISM_ADDRESS") ?? DEFAULT_ADDRESS;
  const token = await readToken(options);
  await using client = createClient(address, {
    namespace: textOption(options, "namespace", "PRISM_NAMESPACE"),
    timeoutMs: CALL_TIMEOUT_MS,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });
  try {
    return await use(client);
  } catch (error) {
    throw error instanceof PrismError ? toCommandError(error, address) : error;
  }
}

function createClient(address: string, options: ConstructorParameters<typeof PrismClient>[1]): PrismClient {
  try {
    return new PrismClient(address, options);
  } catch (error) {
    throw new CommandError(EXIT.misused, error instanceof Error ? error.message : String(error), error);
  }
}

/** The key or token to show; `undefined` = none. Its text appears in no message. */
async function readToken(options: Options): Promise<string | undefined> {
  const file = textOption(options, "token-file");
  const token =
    file === undefined
      ? process.env.PRISM_TOKEN || undefined
      : (await readFile(file)).toString("utf8").trim();
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
    throw new CommandError(
      EXIT.misused,
      `${file ?? "PRISM_TOKEN"} has no key or token: expected one word of visible ASCII characters`,
    );
  }
  return token;
}

function toCommandError(error: PrismError, address: string): CommandError {
  const exitCode = exitCodeOf(error.code);
  return new CommandError(exitCode, messageOf(error, exitCode, address), error);
}

/** Also says what to check, where the address may be wrong. */
function messageOf({ message, reason, requestId }: PrismError, exitCode: ExitCode, address: string): string {
  if (reason === "method_not_found") {
    return `${message} at ${address}; check that this is a gateway's data port, and that the gateway is not older than this program`;
  }
  if (exitCode === EXIT.unavailable && requestId === undefined) {
    return `${message}
--address or PRISM_ADDRESS says where the gateway is: its data port, server.listen_address`;
  }
  return message;
}

function exitCodeOf(code: Code): ExitCode {
  switch (code) {
    case Code.NotFound:
      return EXIT.notFound;
    case Code.InvalidArgument:
    case Code.OutOfRange:
      return EXIT.misused;
    case Code.Unavailable:
    case Code.DeadlineExceeded:
      return EXIT.unavailable;
    case Code.PermissionDenied:
    case Code.Unauthenticated:
      return EXIT.denied;
    default:
      return EXIT.failed;
  }
}
