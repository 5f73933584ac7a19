import { type Caller, mayManage, mayUse, type Permission } from "./data/caller.ts";
import { gateway } from "./gateway.ts";
import { type Shared, shared } from "./shared.ts";

/** Who looks, as the gateway sees it. */
export const whoLooks: () => Shared<Caller> = shared((signal) => gateway.admin.getCaller({}, { signal }));

/**
 * Whether to offer to see (`read`), make (`write`) or delete (`admin`) namespaces. Until it is
 * known who looks everything is offered: the gateway decides anyway.
 */
export function mayManageNamespaces(permission: Permission): boolean {
  const { value } = whoLooks();
  return value === undefined || mayManage(value, permission);
}

/** Whether to offer to read or write a namespace's data; see {@link mayManageNamespaces}. */
export function mayUseNamespace(namespace: string, permission: Permission): boolean {
  const { value } = whoLooks();
  return value === undefined || mayUse(value, namespace, permission);
}
