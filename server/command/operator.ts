import { ADMIN_KEY, type AdminAnswer, type AdminRequest, callAdmin, whyUnanswered } from "../admin-call.ts";
import { parseAddress } from "../config/address.ts";
import { type DataCall, isHuman } from "./entries.ts";
import { CommandError, EXIT, type ExitCode } from "./exit-codes.ts";
import { textOption } from "./options.ts";
import { Lines, write } from "./output.ts";
import { readFile, shownText } from "./values.ts";

/** What a command of operators is given. */
type OperatorCall = Omit<DataCall, "client">;

/** Where a gateway's admin port is by itself. */
const DEFAULT_ADMIN = "127.0.0.1:8090";

/** `ns list` */
export async function listNamespaces({ options }: OperatorCall): Promise<ExitCode> {
  const isForPeople = isHuman(options);
  const lines = new Lines();
  let token = "";
  do {
    const query = token === "" ? "" : `?page_token=${encodeURIComponent(token)}`;
    const page = await ask({ options }, { path: `/namespaces${query}` });
    for (const namespace of listOf(page.namespaces)) {
      const { name, backend, status, source } = namespace;
      await lines.add(
        isForPeople
          ? row(name, backend, word(status, "NAMESPACE_STATUS_"), word(source, "NAMESPACE_SOURCE_"))
          : JSON.stringify(namespace),
      );
    }
    token = typeof page.nextPageToken === "string" ? page.nextPageToken : "";
  } while (token !== "");
  await lines.end();
  return EXIT.done;
}

/** `ns get NAME` */
export async function getNamespace({ args: [name = ""], options }: OperatorCall): Promise<ExitCode> {
  return await print(await ask({ options }, { path: `/namespaces/${encodeURIComponent(name)}` }));
}

/** `ns create NAME` */
export async function createNamespace({ args: [name = ""], options }: OperatorCall): Promise<ExitCode> {
  const file = textOption(options, "file");
  const backend = textOption(options, "backend");
  const body = {
    ...(file !== undefined && (await readObject(file))),
    name,
    ...(backend !== undefined && { backend }),
  };
  return await print(await ask({ options }, { method: "POST", path: "/namespaces", body }));
}

/** `ns delete NAME` */
export async function deleteNamespace({ args: [name = ""], options }: OperatorCall): Promise<ExitCode> {
  if (textOption(options, "confirm") !== name) {
    throw new CommandError(
      EXIT.misused,
      `all data of the namespace is lost; give its name once more: --confirm ${name}`,
    );
  }
  const encoded = encodeURIComponent(name);
  return await print(
    await ask({ options }, { method: "DELETE", path: `/namespaces/${encoded}?confirm=${encoded}` }),
  );
}

/** `backends` */
export async function listBackends({ options }: OperatorCall): Promise<ExitCode> {
  const path = "/prism.admin.v1.AdminService/ListBackends";
  const { backends } = await ask({ options }, { method: "POST", path, body: {} });
  const isForPeople = isHuman(options);
  const lines = new Lines();
  for (const backend of listOf(backends)) {
    const { name, type, state, namespaceCount, problem } = backend;
    await lines.add(
      isForPeople
        ? row(name, type, word(state, "BACKEND_STATE_"), `${namespaceCount ?? 0} namespaces`, problem)
        : JSON.stringify(backend),
    );
  }
  await lines.end();
  return EXIT.done;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Asks the admin port for an object. Throws {@link CommandError}. */
async function ask(
  { options }: Pick<OperatorCall, "options">,
  request: Omit<AdminRequest, "base" | "key">,
): Promise<JsonObject> {
  const admin = textOption(options, "admin", "PRISM_ADMIN") ?? DEFAULT_ADMIN;
  let answer: AdminAnswer;
  try {
    answer = await callAdmin({ ...request, base: toBase(admin), key: process.env[ADMIN_KEY] });
  } catch (error) {
    if (error instanceof CommandError) {
      throw error;
    }
    throw new CommandError(
      EXIT.unavailable,
      `no gateway answers at ${admin}: ${whyUnanswered(error)}
check that it runs, that this is its admin port (admin.listen_address) and whether it speaks TLS (https://);
--admin or PRISM_ADMIN says where it is`,
      error,
    );
  }
  const { status, json } = answer;
  if (!isObject(json)) {
    throw new CommandError(
      EXIT.failed,
      `HTTP ${status} at ${admin}; check that it is a gateway's admin port`,
    );
  }
  if (status >= 300) {
    const { code, message = `HTTP ${status}` } = json;
    throw new CommandError(
      exitCodeOf(code),
      code === undefined || code === "unimplemented"
        ? `${message} at ${admin}; check that it is a gateway's admin port`
        : String(message),
    );
  }
  return json;
}

function toBase(admin: string): string {
  const isUrl = /^https?:\/\//.test(admin);
  if (isUrl ? !URL.canParse(admin) : parseAddress(admin) === undefined) {
    throw new CommandError(EXIT.misused, `option --admin: expected HOST:PORT or a URL, found "${admin}"`);
  }
  return isUrl ? new URL(admin).origin : `http://${admin.startsWith(":") ? `127.0.0.1${admin}` : admin}`;
}

/** `code`: of Connect, as both kinds of routes tell it. */
function exitCodeOf(code: unknown): ExitCode {
  switch (code) {
    case "invalid_argument":
    case "out_of_range":
      return EXIT.misused;
    case "permission_denied":
    case "unauthenticated":
      return EXIT.denied;
    case "not_found":
      return EXIT.notFound;
    case "unavailable":
    case "deadline_exceeded":
      return EXIT.unavailable;
    default:
      return EXIT.failed;
  }
}

async function print(answer: JsonObject): Promise<ExitCode> {
  await write(`${JSON.stringify(answer)}\n`);
  return EXIT.done;
}

async function readObject(file: string): Promise<JsonObject> {
  const text = (await readFile(file)).toString("utf8");
  try {
    const json: unknown = JSON.parse(text);
    if (isObject(json)) {
      return json;
    }
  } catch {
    // Told below.
  }
  throw new CommandError(EXIT.misused, `${file} is no JSON object`);
}

function isObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function listOf(json: unknown): readonly JsonObject[] {
  return Array.isArray(json) ? json.filter(isObject) : [];
}

/** `SERVING` of `BACKEND_STATE_SERVING`, in small letters. */
function word(value: unknown, prefix: string): string {
  return String(value).replace(prefix, "").toLowerCase();
}

/** A line for people. */
function row(...cells: readonly unknown[]): string {
  return cells
    .map((cell) => shownText(String(cell ?? "")))
    .join("\t")
    .trimEnd();
}
