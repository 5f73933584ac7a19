import { type Client, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { batch, signal } from "@preact/signals";
import { AdminService } from "../../gen/prism/admin/v1/admin_pb.ts";
import { NamespaceService } from "../../gen/prism/control/v1/namespace_pb.ts";
import { createFetchTransport } from "../fetch.ts";
import { PrismClient } from "../web.ts";
import { isAbsence, problemOf } from "./problem.ts";

/** The ways to the gateway that serves the page. */
export interface Gateway {
  /** Data. */
  readonly data: PrismClient;
  /** Stores, traffic, the gateway itself. */
  readonly admin: Client<typeof AdminService>;
  /** Namespaces. */
  readonly control: Client<typeof NamespaceService>;
}

/** A try whether a gateway that is away is back. */
const LOOK_MS = 1000;
const TIMEOUT_MS = 15_000;

/** Kept until the browser's tab is closed, so that a reload asks for no key. */
const KEY = "prism.credentials";

/** The API key or token of who looks; `undefined` = nobody has signed in. */
const credentials = signal<string | undefined>(sessionStorage.getItem(KEY) ?? undefined);

/** Whether the gateway answers. */
export const isAway = signal(false);

/** Whether the gateway wants to know who calls: nobody said, or it knows them no longer. */
export const needsSignIn = signal(false);

/** Whether the page asks who looks. It does so once by itself, when `needsSignIn` becomes true. */
export const asksSignIn = signal(false);

/** Whether somebody has signed in. */
export const isSignedIn = () => credentials.value !== undefined;

/** Grows when everything that is shown should be read again: after a sign-in, or an absence. */
export const freshness = signal(0);

/**
 * Signs in with an API key or token, if the gateway knows it: rejects with what the gateway says
 * otherwise, and then nothing has changed.
 */
export async function signIn(key: string): Promise<void> {
  await gateway.admin.getCaller({}, { headers: { authorization: `Bearer ${key}` }, timeoutMs: TIMEOUT_MS });
  sessionStorage.setItem(KEY, key);
  batch(() => {
    credentials.value = key;
    needsSignIn.value = false;
    asksSignIn.value = false;
    freshness.value++;
  });
}

/** Forgets who looks. */
export function signOut(): void {
  sessionStorage.removeItem(KEY);
  batch(() => {
    credentials.value = undefined;
    needsSignIn.value = false;
    freshness.value++;
  });
}

/** Notes what every answer tells of the gateway. */
const observe: Interceptor = (next) => async (request) => {
  const sent = credentials.peek();
  if (sent !== undefined && !request.header.has("authorization")) {
    request.header.set("authorization", `Bearer ${sent}`);
  }
  try {
    const answer = await next(request);
    isAway.value = false;
    return answer.stream ? { ...answer, message: observed(answer.message, sent) } : answer;
  } catch (thrown) {
    observeFailure(thrown, sent);
    throw thrown;
  }
};

/** A stream fails while it is read. */
async function* observed<T>(messages: AsyncIterable<T>, sent: string | undefined): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (thrown) {
    observeFailure(thrown, sent);
    throw thrown;
  }
}

/** `sent` = the credentials of the call that failed. */
function observeFailure(thrown: unknown, sent: string | undefined): void {
  const problem = problemOf(thrown);
  if (problem.code === Code.Unauthenticated && sent === credentials.peek() && !needsSignIn.peek()) {
    batch(() => {
      needsSignIn.value = true;
      asksSignIn.value = true;
    });
  }
  if (problem.isAnswer) {
    isAway.value = false;
  } else if (isAbsence(problem)) {
    lookUntilBack();
  }
}

const transport = createFetchTransport(location.origin, [observe]);

/** The gateway that serves the page. */
export const gateway: Gateway = {
  data: new PrismClient(transport, { timeoutMs: TIMEOUT_MS, retries: 1 }),
  admin: createClient(AdminService, transport),
  control: createClient(NamespaceService, transport),
};

function lookUntilBack(): void {
  if (isAway.peek()) {
    return;
  }
  isAway.value = true;
  const look = async () => {
    const answer = await fetch("/livez").catch(() => undefined);
    if (answer === undefined || !answer.ok) {
      setTimeout(look, LOOK_MS);
      return;
    }
    batch(() => {
      isAway.value = false;
      freshness.value++;
    });
  };
  setTimeout(look, LOOK_MS);
}
