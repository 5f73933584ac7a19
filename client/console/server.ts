import type { GetServerResponse, ListBackendsResponse } from "../../gen/prism/admin/v1/admin_pb.ts";
import { urlOf } from "./data/address.ts";
import { gateway } from "./gateway.ts";
import { type Shared, shared } from "./shared.ts";

/** The gateway itself, as it was when it was asked. */
export interface ThisGateway extends GetServerResponse {
  /** When it answered, as `performance.now()`. */
  readonly receivedAtMs: number;
}

/** The gateway itself. */
export const thisGateway: () => Shared<ThisGateway> = shared(async (signal) => ({
  ...(await gateway.admin.getServer({}, { signal })),
  receivedAtMs: performance.now(),
}));

/** Its stores, as they were when they were asked for. */
export const stores: () => Shared<ListBackendsResponse> = shared((signal) =>
  gateway.admin.listBackends({}, { signal }),
);

/**
 * Where programs send calls on data. Who may not ask the gateway itself gets the page's own origin,
 * which answers them too.
 */
export function dataUrl(): string {
  const { value } = thisGateway();
  return value === undefined ? location.origin : urlOf(value.dataAddress, location);
}
