import { Code, ConnectError } from "@connectrpc/connect";
import { markNotRun, type NotRun } from "./transport/not-run.ts";

/**
 * `fetch` that fails as Unavailable when the network fails. `fetch` throws TypeErrors for that,
 * like a program with a bug, and nothing else tells the two apart.
 */
export async function fetchOrUnavailable(...request: Parameters<typeof fetch>): Promise<Response> {
  const response = await fetch(...request).catch((error) => lost(error, request[0]));
  const json = response.json.bind(response);
  const arrayBuffer = response.arrayBuffer.bind(response);
  const { body } = response;
  let watched: ReadableStream<Uint8Array> | null | undefined;
  return Object.defineProperties(response, {
    json: { value: () => json().catch((error) => lost(error)) },
    arrayBuffer: { value: () => arrayBuffer().catch((error) => lost(error)) },
    // Made on demand, because a body can be read only once.
    body: { get: () => (watched ??= body && readOrUnavailable(body)) },
  });
}

function readOrUnavailable(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read().catch((error) => lost(error));
      if (done) {
        controller.close();
      } else {
        controller.enqueue(value);
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

/**
 * Throws the error of `fetch`; a TypeError becomes Unavailable. `to` is where a request without an
 * answer went.
 */
function lost(error: unknown, to?: Parameters<typeof fetch>[0]): never {
  if (!(error instanceof TypeError)) {
    throw error;
  }
  const message = to === undefined ? error.message : unanswered(to, error);
  const failure = new ConnectError(message, Code.Unavailable, undefined, undefined, error);
  const why = notRun(error.cause);
  throw why === undefined ? failure : markNotRun(failure, why);
}

function unanswered(to: Parameters<typeof fetch>[0], { message, cause }: TypeError): string {
  const origin = URL.parse(String(to instanceof Request ? to.url : to))?.origin;
  const code = cause instanceof Error && "code" in cause ? `, ${cause.code}` : "";
  const check = "check the address, that the gateway runs, and in a page server.cors of its configuration";
  return `no answer from ${origin}: ${message}${code}; ${check}`;
}

/** Node tells why there was no connection; browsers do not. */
function notRun(cause: unknown): NotRun | undefined {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|UND_ERR_CONNECT_TIMEOUT)$/.test(code)) {
    return "unsent";
  }
  // The codes in https://nodejs.org/api/tls.html#x509-certificate-error-codes, and OpenSSL's own.
  return /CERT|ISSUER|SIGNATURE|^ERR_(SSL|TLS)_/.test(code) ? "misplaced" : undefined;
}
