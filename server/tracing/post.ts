import http from "node:http";
import https from "node:https";

/** The most bytes of an answer that are read. A collector answers with a few. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** An HTTP answer, or why there is none. */
export type Posted =
  | {
      readonly status: number;
      /** The header as it was sent; `undefined` = it was not. */
      readonly retryAfter: string | undefined;
      /** `undefined` = longer than is read. */
      readonly body: Buffer | undefined;
    }
  | { readonly failure: string };

/** Where requests go. */
export interface Target {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** How long a request may take, its answer included. */
  readonly timeoutMs: number;
}

/** Posts to one URL, over one connection that is kept. */
export interface Poster {
  /** Never rejects. `signal` breaks it off. */
  post(body: Buffer, signal: AbortSignal): Promise<Posted>;
  close(): void;
}

/** Makes a poster of protobuf messages. */
export function createPoster({ url, headers, timeoutMs }: Target): Poster {
  const { Agent, request: start } = url.protocol === "https:" ? https : http;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const options = {
    agent,
    method: "POST",
    headers: { ...headers, "content-type": "application/x-protobuf" },
  };

  async function exchange(body: Buffer, signal: AbortSignal): Promise<Posted> {
    const timed = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const request = start(url, { ...options, signal: timed }, resolve);
    request.on("error", reject).end(body);
    const response = await promise;
    return {
      status: response.statusCode ?? 0,
      retryAfter: response.headers["retry-after"],
      body: await readAtMost(response, MAX_ANSWER_BYTES),
    };
  }

  return {
    async post(body, signal) {
      try {
        return await exchange(body, signal);
      } catch (error) {
        return { failure: failureOf(error, timeoutMs) };
      }
    },
    close: () => agent.destroy(),
  };
}

/** Leaving the loop early closes the connection. */
async function readAtMost(response: http.IncomingMessage, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > maxBytes) {
      return undefined;
    }
  }
  return Buffer.concat(chunks);
}

function failureOf(error: unknown, timeoutMs: number): string {
  const { name, code = "", cause } = Object(error);
  if (name === "AbortError") {
    return Object(cause).name === "TimeoutError" ? `no answer within ${timeoutMs} ms` : "broken off";
  }
  return code === "" ? "the answer breaks off or is no HTTP" : String(code);
}
