import type { JsonValue } from "@bufbuild/protobuf";
import { PrismError } from "./errors.ts";
import { PATTERNS } from "./namespaces/rules.ts";
import type { PlainRequest, PlainRoute } from "./wire/plain-routes.ts";

const SERVICE = "/prism.control.v1.NamespaceService";

/**
 * RFC-026's plain routes for namespaces. A body is the JSON of `prism.control.v1.Namespace`;
 * instead of `abstraction` it may have `pattern`, as namespaces in a configuration file have.
 */
export const NAMESPACE_ROUTES: readonly PlainRoute[] = [
  {
    method: "POST",
    path: "/namespaces",
    call: `${SERVICE}/CreateNamespace`,
    status: 201,
    toRequest: ({ body }) => ({ namespace: withAbstraction(body) }),
    toAnswer: ({ namespace = {} }) => namespace,
  },
  {
    method: "GET",
    path: "/namespaces",
    call: `${SERVICE}/ListNamespaces`,
    status: 200,
    toRequest: ({ query }) => ({
      ...(query.page_size !== undefined && { pageSize: numberOf("page_size", query.page_size) }),
      ...(query.page_token !== undefined && { pageToken: query.page_token }),
    }),
    toAnswer: (response) => response,
  },
  {
    method: "GET",
    path: "/namespaces/:name",
    call: `${SERVICE}/GetNamespace`,
    status: 200,
    toRequest: ({ path }) => ({ namespace: path.name ?? "" }),
    toAnswer: ({ namespace = {} }) => namespace,
  },
  {
    method: "DELETE",
    path: "/namespaces/:name",
    call: `${SERVICE}/DeleteNamespace`,
    status: 202,
    toRequest: deleteRequest,
    toAnswer: ({ namespace = {} }) => namespace,
  },
];

/** The name comes again as `?confirm=NAME`. */
function deleteRequest({ path, query: { confirm } }: PlainRequest): JsonValue {
  if (confirm !== path.name) {
    throw new PrismError("invalid_field", "confirm must be the name of the namespace again: ?confirm=NAME", {
      field: "confirm",
    });
  }
  return { namespace: path.name ?? "", confirmNamespace: confirm ?? "" };
}

function withAbstraction(body: JsonValue | undefined): JsonValue {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new PrismError("malformed_request", "the body must be a JSON object with the namespace");
  }
  const { pattern, ...namespace } = body;
  if (pattern === undefined) {
    return namespace;
  }
  const known = PATTERNS.find((each) => each === pattern);
  if (known === undefined) {
    throw new PrismError("invalid_field", `pattern must be one of: ${PATTERNS.join(", ")}`, {
      field: "pattern",
    });
  }
  return { ...namespace, abstraction: `ABSTRACTION_${known.toUpperCase()}` };
}

function numberOf(field: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new PrismError("invalid_field", `${field} must be a number`, { field });
  }
  return Number(text);
}
