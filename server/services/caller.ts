import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallerGrantSchema, GetCallerResponseSchema } from "../../gen/prism/admin/v1/admin_pb.ts";
import { matchesPattern, type Principal } from "../calls/principal.ts";
import type { Namespace } from "../namespaces/live-namespace.ts";

/** The most grants that an answer has. */
const MAX_GRANTS = 1000;

/**
 * Answers GetCaller: what `principal` may do, by its roles and by the namespaces that name it.
 * `undefined` = nobody is asked who they are.
 */
export function describeCaller(
  principal: Principal | undefined,
  namespaces: readonly Namespace[],
): MessageInitShape<typeof GetCallerResponseSchema> {
  if (principal === undefined) {
    return { authConfigured: false };
  }
  const { name, grants, adminRole = "" } = principal;
  const own = grants.map((grant) => grantOf(grant.namespaces, grant));
  const asConsumer = namespaces.flatMap((namespace) =>
    namespace.rules.access.consumers
      .filter(({ servicePattern }) => matchesPattern(servicePattern, name))
      .map((consumer) => grantOf(namespace.name, consumer)),
  );
  return { authConfigured: true, name, adminRole, grants: [...own, ...asConsumer].slice(0, MAX_GRANTS) };
}

/** What a grant and a consumer of a namespace say alike. */
interface Granted {
  readonly permissions: readonly string[];
  readonly keyPrefix: string;
  readonly methods: readonly string[] | undefined;
}

function grantOf(namespaces: string, given: Granted): MessageInitShape<typeof CallerGrantSchema> {
  const { permissions, keyPrefix, methods } = given;
  return {
    namespaces,
    permissions: [...permissions],
    keyPrefix,
    onlyMethods: methods !== undefined,
    methods: [...(methods ?? [])],
  };
}
