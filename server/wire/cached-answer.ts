import { hash } from "node:crypto";
import {
  createAsyncIterable,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { MethodRow } from "../calls/methods.ts";
import { readBody } from "./wire-error.ts";

/** Fields that describe a body, which a 304 does not have. */
const BODY_FIELDS = ["content-type", "content-length", "content-encoding"] as const;

/**
 * The answer to a GET of a method whose answers may be kept (RFC 9111): with an ETag, and for how
 * long. Without a body and with 304 if the caller has it already. Only by the caller itself,
 * because what it may see is its own affair. A failure is handed back as it is.
 */
export async function answerForCache(
  { cacheTtlSeconds }: MethodRow,
  request: UniversalServerRequest,
  response: UniversalServerResponse,
): Promise<UniversalServerResponse> {
  if (response.status !== 200) {
    return response;
  }
  const body = await readBody(response);
  const etag = `"${hash("sha256", body, "base64url")}"`;
  const header = new Headers(response.header);
  header.set("etag", etag);
  header.set("cache-control", cacheTtlSeconds > 0 ? `private, max-age=${cacheTtlSeconds}` : "private");
  header.append("vary", "Accept-Encoding, Authorization");
  if (!hasIt(request.header.get("if-none-match") ?? undefined, etag)) {
    return { ...response, header, body: createAsyncIterable([body]) };
  }
  for (const name of BODY_FIELDS) {
    header.delete(name);
  }
  return { status: 304, header };
}

/**
 * Whether a caller has the answer with this ETag. RFC 9110 section 13.1.2: `*`, or a list in which
 * this one is, weak or not.
 */
export function hasIt(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || ifNoneMatch?.trim() === "*";
}
