import { codeToString } from "@connectrpc/connect/protocol-connect";
import { REASONS } from "../../reasons.ts";
import type { Audit } from "../audit.ts";
import type { Policy } from "./policy.ts";

/**
 * Tells `audit` of every call whose caller was refused, and on the admin port of every call but
 * those that are polled. Of data calls there (`plane`) only those that write count besides. gRPC's
 * own services (reflection) change nothing and tell nothing of the data, so only refusals count. It
 * stands behind the policy that knows callers: a call that never came so far, because it was
 * unreadable for example, can be anybody's, and counts as refused.
 */
export function createAuditPolicy(audit: Audit, plane: Audit["port"] = audit.port): Policy {
  return {
    on({ path, writes, polled }) {
      const isTold = plane === "admin" ? !polled && !path.startsWith("/grpc.") : writes;
      const isAdministrative = audit.port === "admin" && isTold;
      return {
        finish(record, error, begun) {
          const row = error && REASONS[error.reason];
          const isRefused = row?.refusesCaller === true;
          if (!isRefused && !isAdministrative) {
            return;
          }
          const entry = {
            request_id: record.requestId,
            peer: record.peer,
            principal: record.principal?.name,
            call: path,
            namespace: record.namespace,
            code: row === undefined ? "ok" : codeToString(row.code),
            ...(error && { reason: error.reason }),
          };
          if (isRefused || !begun) {
            audit.refused(entry);
          } else {
            audit.administered(entry);
          }
        },
      };
    },
  };
}
