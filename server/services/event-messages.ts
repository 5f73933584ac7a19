import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EventSchema } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import type { HeldEvent } from "../backend/streams.ts";
import { PrismError } from "../errors.ts";

/** The error for a stream that is not there. */
export function noSuchStream(): PrismError {
  return new PrismError("stream_not_found", "there is no such stream", { field: "stream" });
}

/** An event on the wire. */
export function toEvent({
  timestampMs,
  payload,
  tags,
  offset,
}: HeldEvent): MessageInitShape<typeof EventSchema> {
  return { timestampMillis: BigInt(timestampMs), payload, tags, offset: BigInt(offset) };
}
