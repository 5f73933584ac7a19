import type { SpanOptions } from "../../web.ts";
import { HIDDEN, textOf } from "./bytes.ts";

/** One thing to do, in the three ways in which a person or a program does it. */
export interface Snippets {
  /** For a POSIX shell. */
  readonly curl: string;
  /** For a POSIX shell with `prism` on its path. */
  readonly cli: string;
  /** A program that uses `prism-client`. */
  readonly typescript: string;
}

/** What is on the page. */
export type Shown =
  | { readonly kind: "namespace" }
  /** The keys with a prefix; "" = all. */
  | { readonly kind: "keys"; readonly prefix: string }
  | { readonly kind: "key"; readonly key: string }
  /** The names of the lists with a prefix. */
  | { readonly kind: "lists"; readonly prefix: string }
  /** The values from one place to another, both included; -1 = the last one. */
  | { readonly kind: "list"; readonly list: string; readonly start: number; readonly stop: number }
  /** The ids of the records with a prefix. */
  | { readonly kind: "records"; readonly prefix: string }
  | { readonly kind: "record"; readonly id: string }
  | { readonly kind: "item"; readonly id: string; readonly key: Uint8Array }
  /** The names of the streams with a prefix. */
  | { readonly kind: "streams"; readonly prefix: string }
  | ({ readonly kind: "stream"; readonly stream: string } & SpanOptions);

/** Where it is. */
export interface Target {
  /** `http://HOST:PORT` of the data port, or `https:`. */
  readonly dataUrl: string;
  /** The same of the admin port. */
  readonly adminUrl: string;
  readonly namespace: string;
  /**
   * Whether the gateway wants to know who calls. The lines take the key from the variable that the
   * command line takes it from, so that none stands in them.
   */
  readonly asksWhoCalls: boolean;
}

/** The most keys that a line asks for. */
const LIMIT = 100;

/** A call, as each of the ways needs it. */
interface Ways {
  /** `SERVICE/METHOD` of the call. */
  readonly call: string;
  /** The fields of the request but the namespace. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** The words of the command, and its options. */
  readonly command: readonly string[];
  /** What stands behind the options, and may begin with "-". */
  readonly args: readonly string[];
  /** Lines that use `client`. */
  readonly program: string;
  /** Why no command does the same. Absent = it does. */
  readonly commandFlaw?: string | undefined;
}

/** What is shown, as commands and as a program that show the same. */
export function snippetsOf(shown: Shown, target: Target): Snippets {
  const ways = waysOf(shown);
  return {
    curl: toCurl(ways, shown, target),
    cli: toCommand(ways, shown.kind === "namespace", target),
    typescript: toProgram(ways, target),
  };
}

/** A line that makes the first list, record or stream, and works as it is. */
export function curlOfFirst(kind: "list" | "record" | "stream", target: Target): string {
  const { namespace } = target;
  switch (kind) {
    case "list":
      return curlOf(
        "dataUrl",
        "prism.interfaces.list.ListBasicInterface/PushRight",
        code({ namespace, listKey: "jobs", value: btoa("first") }),
        target,
      );
    case "record":
      return curlOf(
        "dataUrl",
        "prism.keyvalue.v1.KeyValueService/Put",
        code({ namespace, id: "user:1", items: [{ key: btoa("name"), value: btoa("alice") }] }),
        target,
      );
    case "stream":
      return curlOfAppend("logins", target);
  }
}

/** A line that appends an event to a stream, and works as it is. */
export function curlOfAppend(stream: string, target: Target): string {
  const event = { payload: btoa("alice"), tags: { city: "Bern" } };
  return curlOf(
    "dataUrl",
    "prism.timeseries.v1.TimeSeriesService/Append",
    code({ namespace: target.namespace, stream, event }),
    target,
  );
}

function waysOf(shown: Shown): Ways {
  switch (shown.kind) {
    case "namespace":
      return {
        call: "prism.control.v1.NamespaceService/GetNamespace",
        fields: {},
        command: ["ns", "get"],
        args: [],
        program: "console.log(await client.keyvalue.count());",
      };
    case "keys":
      return {
        call: "prism.interfaces.keyvalue.KeyValueRangeInterface/ReadPage",
        fields: { prefix: shown.prefix, limit: LIMIT },
        command: ["scan", "--limit", `${LIMIT}`],
        args: shown.prefix === "" ? [] : [shown.prefix],
        program: `for await (const [key, value] of client.keyvalue.scan(${code(shown.prefix)}, { limit: ${LIMIT} })) {
  console.log({ key, value: new TextDecoder().decode(value) });
}`,
      };
    case "key":
      return {
        call: "prism.interfaces.keyvalue.KeyValueBasicInterface/Get",
        fields: { key: shown.key },
        command: ["get"],
        args: [shown.key],
        program: printed(`client.keyvalue.get(${code(shown.key)})`),
      };
    case "lists":
      return waysOfNames("prism.interfaces.list.ListNamesInterface/ReadNames", "lists", shown.prefix);
    case "records":
      return waysOfNames("prism.keyvalue.v1.RecordIdsService/ReadIds", "record ids", shown.prefix);
    case "list":
      return {
        call: "prism.interfaces.list.ListRangeInterface/GetRange",
        fields: { listKey: shown.list, start: shown.start, stop: shown.stop },
        command: ["range"],
        args: [shown.list, `${shown.start}`, `${shown.stop}`],
        program: `for await (const value of client.list.range(${code(shown.list)}, ${shown.start}, ${shown.stop})) {
  console.log(new TextDecoder().decode(value));
}`,
      };
    case "record":
      return {
        call: "prism.keyvalue.v1.KeyValueService/Get",
        fields: { id: shown.id, predicate: { matchAll: {} } },
        command: ["record", "get"],
        args: [shown.id],
        program: `for (const { key, value } of await client.records.get(${code(shown.id)})) {
  console.log({ key: new TextDecoder().decode(key), value: new TextDecoder().decode(value) });
}`,
      };
    case "item":
      return waysOfItem(shown.id, shown.key);
    case "streams":
      return waysOfNames("prism.timeseries.v1.TimeSeriesService/ListStreams", "ts list", shown.prefix);
    case "stream":
      return waysOfStream(shown.stream, shown);
  }
}

/** What reads names in a program, by the command that does. */
const NAMES_READ = {
  lists: "list.names",
  "record ids": "records.ids",
  "ts list": "timeseries.streams",
} as const;

function waysOfNames(call: string, command: keyof typeof NAMES_READ, prefix: string): Ways {
  const read = NAMES_READ[command];
  return {
    call,
    fields: { prefix, limit: LIMIT },
    command: [...command.split(" "), "--limit", `${LIMIT}`],
    args: prefix === "" ? [] : [prefix],
    program: `for await (const name of client.${read}({ prefix: ${code(prefix)} })) {
  console.log([name]);
}`,
  };
}

/** Keys of items may be any bytes; text stays readable. */
function waysOfItem(id: string, key: Uint8Array): Ways {
  const text = textOf(key);
  const base64 = toBase64(key);
  const isText = text !== undefined && !text.includes("\0");
  const codeOfKey = text === undefined ? `Buffer.from("${base64}", "base64")` : code(text);
  return {
    call: "prism.keyvalue.v1.KeyValueService/Get",
    fields: { id, predicate: { matchKeys: { keys: [base64] } } },
    command: ["record", "get", "--raw", ...(isText ? [] : ["--base64-keys"])],
    args: [id, isText ? text : base64],
    program: `const [item] = await client.records.get(${code(id)}, { keys: [${codeOfKey}] });
console.log(new TextDecoder().decode(item?.value));`,
  };
}

function waysOfStream(stream: string, { startMs, endMs, tags = {} }: SpanOptions): Ways {
  const only = Object.entries(tags);
  const hasTags = only.length > 0;
  const options = { startMs, endMs, ...(hasTags && { tags }), limit: LIMIT };
  return {
    call: "prism.timeseries.v1.TimeSeriesService/Query",
    fields: {
      stream,
      startTimeMillis: startMs,
      endTimeMillis: endMs,
      ...(hasTags && { filterTags: tags }),
      limit: LIMIT,
    },
    command: [
      "ts",
      "query",
      ...(startMs === undefined ? [] : ["--from", `${startMs}`]),
      ...(endMs === undefined ? [] : ["--to", `${endMs}`]),
      // In one word: a value may begin with "-".
      ...only.map(([name, value]) => `--tag=${name}=${value}`),
      "--limit",
      `${LIMIT}`,
    ],
    args: [stream],
    commandFlaw: only.some(([name]) => name.includes("="))
      ? "A tag has a name with =, which no option of a command can name."
      : undefined,
    program: `const events = client.timeseries.query(${code(stream)}, ${code(options)});
for await (const { offset, timestampMs, tags, payload } of events) {
  console.log({ offset, timestampMs, tags, payload: new TextDecoder().decode(payload) });
}`,
  };
}

const printed = (call: string) => `const value = await ${call};
console.log(new TextDecoder().decode(value));`;

function toCurl({ call, fields }: Ways, { kind }: Shown, target: Target): string {
  const body = code({ namespace: target.namespace, ...fields });
  if (kind !== "list" && kind !== "stream") {
    return curlOf(kind === "namespace" ? "adminUrl" : "dataUrl", call, body, target);
  }
  // A stream: five bytes stand before each message, the last four of them its length.
  const length = new DataView(new ArrayBuffer(4));
  length.setUint32(0, new TextEncoder().encode(body).length);
  const head = octal(new Uint8Array([0, ...new Uint8Array(length.buffer)]));
  return `printf '${head}%s' ${quoted(body)} |
  curl -s ${shellWord(`${target.dataUrl}/${call}`)}${keyHeader("dataUrl", target)} \\
  -H 'Content-Type: application/connect+json' --data-binary @- |
  LC_ALL=C tr '\\000-\\037' '\\n' | LC_ALL=C grep -ao '{"[ev].*}'`;
}

function curlOf(port: "dataUrl" | "adminUrl", call: string, body: string, target: Target): string {
  return `curl ${shellWord(`${target[port]}/${call}`)}${keyHeader(port, target)} \\
  -H 'Content-Type: application/json' -d ${quoted(body)}`;
}

function keyHeader(port: "dataUrl" | "adminUrl", { asksWhoCalls }: Target): string {
  const variable = port === "adminUrl" ? "PRISM_ADMIN_KEY" : "PRISM_TOKEN";
  return asksWhoCalls ? ` \\\n  -H "Authorization: Bearer $${variable}"` : "";
}

function toCommand({ command, args, commandFlaw }: Ways, isAdmin: boolean, target: Target): string {
  if (commandFlaw !== undefined) {
    return `# ${commandFlaw}`;
  }
  const hostOf = (url: string) => url.replace(/^http:\/\//, "");
  const where = isAdmin
    ? ["--admin", hostOf(target.adminUrl)]
    : ["--address", hostOf(target.dataUrl), "--namespace", target.namespace];
  const named = isAdmin ? [target.namespace] : args;
  if ([...command, ...named].some((arg) => arg.includes("\0"))) {
    return "# A name has a NUL character, which no argument of a command can have.";
  }
  const end = named.some((arg) => arg.startsWith("-") && !/^-\d+$/.test(arg)) ? ["--"] : [];
  return ["prism", ...command, ...where, ...end, ...named].map(shellWord).join(" ");
}

function toProgram({ program }: Ways, { dataUrl, namespace, asksWhoCalls }: Target): string {
  const credentials = asksWhoCalls ? ", credentials: process.env.PRISM_TOKEN" : "";
  return `import { PrismClient } from "prism-client";

await using client = new PrismClient(${code(dataUrl)}, { namespace: ${code(namespace)}${credentials} });
${program}`;
}

/** JSON, which is JavaScript too, in which everything is seen. */
function code(value: unknown): string {
  return JSON.stringify(value).replace(HIDDEN, (char) =>
    Array.from(
      { length: char.length },
      (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, "0")}`,
    ).join(""),
  );
}

/** A word of a command for a POSIX shell. */
function shellWord(text: string): string {
  return /^[\w.,:/@+-]+$/.test(text) ? text : quoted(text);
}

/** Control characters but the line feed, and what else is not seen, in runs. */
const UNSEEN = new RegExp(`(?:(?!\\n)${HIDDEN.source})+`, "gu");

/**
 * Text in quotes for a POSIX shell. What is not seen is given to printf as octal: a terminal would
 * obey some of it while it is pasted. A line feed stays: `$()` would cut it off.
 */
function quoted(text: string): string {
  const inner = text
    .replaceAll("'", "'\\''")
    .replace(UNSEEN, (run) => `'"$(printf '${octal(new TextEncoder().encode(run))}')"'`);
  return `'${inner}'`;
}

function octal(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
}

function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
