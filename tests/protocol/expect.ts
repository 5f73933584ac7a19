/** What every failed call must look like. */
import { expect } from "vitest";
import { type Reason, ReasonSchema } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import type { TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import type { RawAnswer, RawConnection } from "./raw.ts";
import { callRequest, type RawRequest, readMessage, type Wire } from "./wire.ts";

/** The expected failure of a call. */
export interface Failure {
  /** The status code by Connect's name. */
  readonly code: string;
  /** The detail's reason. */
  readonly reason: keyof typeof Reason;
  /** The field in the detail; `undefined` = none. */
  readonly field?: string | undefined;
  /** The HTTP status of a unary Connect call, if it is not the code's usual one. */
  readonly httpStatus?: number | undefined;
  /** The namespace in the log; `undefined` = not checked. */
  readonly namespace?: string | undefined;
}

/** The HTTP status of a failed unary Connect call, by code (connectrpc.com/docs/protocol). */
const HTTP_STATUS: Readonly<Record<string, number>> = {
  canceled: 499,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  failed_precondition: 400,
  out_of_range: 400,
  resource_exhausted: 429,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
};

let requests = 0;

/** A new request id, by which the call's log lines are found. */
export function nextRequestId(): string {
  return `test-${process.pid}-${++requests}`;
}

/** The same request with a new id. */
export function withId(request: RawRequest): RawRequest & { readonly id: string } {
  const id = nextRequestId();
  return { ...request, id, headers: { ...request.headers, "x-request-id": id } };
}

/** The log lines of a call. */
export function linesOf(server: TestServer, requestId: string) {
  return server.log.filter((line) => line.request_id === requestId);
}

/**
 * Makes the call and expects this failure: the protocol's status, one detail, and one log line with
 * what an operator needs and without data. `secrets` are in the request's keys and values.
 */
export async function expectFailure(
  server: TestServer,
  connection: RawConnection,
  request: RawRequest,
  failure: Failure,
  secrets: readonly string[] = [],
): Promise<RawAnswer> {
  const sent = withId(request);
  const answer = await connection.call(sent);
  expect({ ...told(answer), status: answer.httpStatus }).toEqual({
    code: failure.code,
    details: [{ reason: failure.reason, field: failure.field }],
    status: expectedStatus(request, failure),
  });
  const [detail] = answer.details;
  expect(detail?.message).toBe(answer.message);
  expect(detail?.requestId).toBe(sent.id);
  if (failure.namespace !== undefined) {
    expect(detail?.namespace).toBe(failure.namespace);
  }
  const [, service, call] = request.path.split(/[/?]/);
  await expectLine(server, sent.id, { service, call, code: failure.code, namespace: failure.namespace });
  for (const secret of secrets) {
    expect(JSON.stringify(linesOf(server, sent.id))).not.toContain(secret);
  }
  return answer;
}

/** Expects one line with the fields of every call. */
export async function expectLine(
  server: TestServer,
  requestId: string,
  line: {
    service: string | undefined;
    call: string | undefined;
    code: string;
    namespace: string | undefined;
  },
): Promise<void> {
  await waitFor(() => expect(linesOf(server, requestId)).not.toEqual([]));
  expect(linesOf(server, requestId)).toEqual([
    expect.objectContaining({
      service: line.service,
      call: line.call,
      code: line.code,
      namespace: line.namespace ?? expect.any(String),
      duration_ms: expect.any(Number),
    }),
  ]);
}

/** Makes a successful call. Answers the port that it came from. */
export async function expectService(connection: RawConnection, wire: Wire): Promise<number> {
  const method = KeyValueBasicInterface.method.exists;
  const answer = await connection.call(callRequest(wire, method, { key: "no such key" }));
  expect(answer).toMatchObject({ code: "ok", httpStatus: 200 });
  expect(readMessage(method, wire, answer).exists).toBe(false);
  return answer.localPort;
}

function told(answer: RawAnswer) {
  return {
    code: answer.code,
    details: answer.details.map(({ reason, fieldViolations }) => ({
      reason: ReasonSchema.value[reason]?.localName,
      field: fieldViolations[0]?.field,
    })),
  };
}

function expectedStatus({ wire, headers }: RawRequest, { code, httpStatus }: Failure): number | undefined {
  return isConnectUnary(wire, headers) ? (httpStatus ?? HTTP_STATUS[code]) : 200;
}

function isConnectUnary(wire: Wire, headers: Readonly<Record<string, string>>): boolean {
  return (
    wire.protocol === "connect-get" ||
    (wire.protocol === "connect" && !headers["content-type"]?.startsWith("application/connect+"))
  );
}
