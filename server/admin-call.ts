/** The most bytes of a gateway's answer. Room for the largest configuration with all defaults. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** How long the gateway may take. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The variable with the key or token to show to an admin port that asks who calls. */
export const ADMIN_KEY = "PRISM_ADMIN_KEY";

/** A request to an admin port. */
export interface AdminRequest {
  /** An `http://` or `https://` URL without a path. */
  readonly base: string;
  /** Begins with "/". */
  readonly path: string;
  /** The key or token to show; `undefined` or "" = none. */
  readonly key: string | undefined;
  /** Absent: GET. */
  readonly method?: "GET" | "POST" | "DELETE";
  /** Sent as JSON. Absent: no body. */
  readonly body?: unknown;
}

/** What an admin port answers. */
export interface AdminAnswer {
  /** The HTTP status. */
  readonly status: number;
  /** `undefined` = the body is not JSON. */
  readonly json: unknown;
}

/** Asks an admin port. Throws an error of Node or of fetch if it does not answer. */
export async function callAdmin(request: AdminRequest): Promise<AdminAnswer> {
  const { base, path, key = "", method = "GET", body } = request;
  const response = await fetch(base + path, {
    method,
    headers: {
      ...(key !== "" && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, json: parsed(await textOf(response)) };
}

/** Why a request was not answered, in a word: `ECONNREFUSED`, `TimeoutError`. */
export function whyUnanswered(error: unknown): string {
  const { code, name } = Object(Object(error).cause ?? error);
  return String(code ?? name);
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
