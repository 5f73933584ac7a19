import type { Transport } from "@connectrpc/connect";
import { encodeHeaders, type HeaderBlock, type HeaderList } from "../../http2/index.ts";

/** As gRPC writes the deadline of a call: eight digits at most, so longer ones are in seconds. */
export function timeoutField(timeoutMs: number): readonly [name: string, value: string] {
  return [
    "grpc-timeout",
    timeoutMs < 100_000_000 ? `${timeoutMs}m` : `${Math.min(99_999_999, Math.ceil(timeoutMs / 1000))}S`,
  ];
}

/** Headers as a transport's caller gives them. */
export type GivenHeaders = Parameters<Transport["unary"]>[3];

/** Fields that say what a request is. A caller cannot set them. */
export const RESERVED: ReadonlySet<string> = new Set([
  "content-type",
  "te",
  "user-agent",
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "content-length",
]);

/** Those that gRPC sets for a call. */
const SET_BY_GRPC: ReadonlySet<string> = new Set(["grpc-timeout", "grpc-encoding", "grpc-accept-encoding"]);

/**
 * The fields that only this call sends; `undefined` = none. Throws TypeError for what cannot be a
 * field.
 */
export function ownFields(timeoutMs: number | undefined, header: GivenHeaders): HeaderBlock | undefined {
  if (header === undefined) {
    return timeoutMs === undefined ? undefined : timeoutBlock(timeoutMs);
  }
  const pairs: string[] = [];
  for (const [name, value] of new Headers(header)) {
    if (!RESERVED.has(name) && !SET_BY_GRPC.has(name)) {
      pairs.push(name, value);
    }
  }
  if (timeoutMs !== undefined) {
    pairs.push(...timeoutField(timeoutMs));
  }
  return pairs.length === 0 ? undefined : encodeHeaders(pairs);
}

/** The last call's. Mostly all calls of a client have the same. */
let lastTimeout: { readonly ms: number; readonly block: HeaderBlock } | undefined;

function timeoutBlock(ms: number): HeaderBlock {
  if (lastTimeout?.ms !== ms) {
    lastTimeout = { ms, block: encodeHeaders(timeoutField(ms)) };
  }
  return lastTimeout.block;
}

/** Received fields as Connect wants them; added to `headers`. */
export function toHeaders(list: HeaderList | undefined, headers: Headers = new Headers()): Headers {
  const fields = list?.fields ?? [];
  for (let i = 0; i < fields.length; i += 2) {
    headers.append(fields[i] ?? "", fields[i + 1] ?? "");
  }
  return headers;
}
