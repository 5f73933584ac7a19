import { ConnectError, type Interceptor } from "@connectrpc/connect";

/** The errors of calls that the server did not run. */
const refusals = new WeakSet<ConnectError>();

/** The errors of calls that were never sent. */
const unsent = new WeakSet<ConnectError>();

/** Says that a call with this error was never sent: there was no connection to be had. */
export function markUnsent(error: ConnectError): ConnectError {
  unsent.add(error);
  return error;
}

/** Whether this error says that its call had no effect: it was never sent, or the server did not run it. */
export function wasNotRun(error: ConnectError): boolean {
  return refusals.has(error) || unsent.has(error);
}

/** Says that a call with this error was not run: refused, or never taken (RFC 9113 sections 6.8 and 8.7). */
export function markRefused(error: ConnectError): ConnectError {
  refusals.add(error);
  return error;
}

/** Makes a call that was refused once more, where its request can be read again: Connect's own way for {@link Call}'s. */
export const retryRefused: Interceptor = (next) => async (request) => {
  if (request.stream && request.method.methodKind !== "server_streaming") {
    return await next(request);
  }
  // The one message of a stream's request can be read once only.
  const messages = request.stream ? await Array.fromAsync(request.message) : [];
  const send = () => next(request.stream ? { ...request, message: replay(messages) } : request);
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof ConnectError && refusals.has(error)) || request.signal.aborted) {
      throw error;
    }
    return await send();
  }
};

async function* replay<T>(messages: readonly T[]): AsyncGenerator<T> {
  yield* messages;
}
