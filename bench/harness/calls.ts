import { create, type DescMethod, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { h2load } from "./h2load.ts";
import type { Core, Peer } from "./process.ts";

const { get, set } = KeyValueBasicInterface.method;

/** The number of calls at a time, and of connections. */
export interface Shape {
  readonly connections: number;
  readonly streams: number;
}

/** A call that makes up the load. */
export interface BenchCall {
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly http1: boolean;
  /** The value of the header of that name. Absent = there is none. */
  readonly authorization?: string;
  /** Where the load runs. Absent = on its own core. */
  readonly core?: Core;
}

/** The sizes of the values, by their names in `bench/peers/store.ts`. */
export const VALUE_BYTES = { small: 100, large: 10_000 } as const;
export type ValueSize = keyof typeof VALUE_BYTES;

/** The content type of every gRPC call here. */
export const GRPC = "application/grpc+proto";

/** The path of a method. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** A gRPC message on the wire. */
export function envelope(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function grpc(method: DescMethod, message: Uint8Array): BenchCall {
  return { path: pathOf(method), contentType: GRPC, body: envelope(message), http1: false };
}

const setRequest = (size: ValueSize): MessageInitShape<typeof set.input> => ({
  key: size,
  value: Buffer.alloc(VALUE_BYTES[size], "v"),
});

/** A gRPC Get of a value. */
export function grpcGet(size: ValueSize): BenchCall {
  return grpc(get, toBinary(get.input, create(get.input, { key: size })));
}

/** A gRPC Set of a value. */
export function grpcSet(size: ValueSize): BenchCall {
  return grpc(set, toBinary(set.input, create(set.input, setRequest(size))));
}

/** A Get over HTTP/1.1, in JSON. */
export function jsonGet(size: ValueSize): BenchCall {
  const body = Buffer.from(toJsonString(get.input, create(get.input, { key: size })));
  return { path: pathOf(get), contentType: "application/json", body, http1: true };
}

/** Writes the values to a new Prism. */
export async function fill({ port }: Peer, authorization?: string): Promise<void> {
  for (const size of Object.keys(VALUE_BYTES) as ValueSize[]) {
    const response = await fetch(`http://127.0.0.1:${port}${pathOf(set)}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...(authorization !== undefined && { authorization }) },
      body: toJsonString(set.input, create(set.input, setRequest(size))),
    });
    if (!response.ok) {
      throw new Error(`Set failed: ${await response.text()}`);
    }
  }
}

/** The length of a run, and the number of calls in the first, warming run. */
const RUN_SECONDS = 0.5;
const WARM_UP_CALLS = 2_000;

/**
 * A contender: the calls a second of a peer. After a warm-up every run takes about the same time,
 * however fast the peer is.
 */
export async function contender(peer: Peer, call: BenchCall, shape: Shape): Promise<() => Promise<number>> {
  const inFlight = shape.connections * shape.streams;
  const run = (calls: number) =>
    h2load({ ...call, ...shape, port: peer.port, calls: Math.max(calls, inFlight) });
  let rate = await run(WARM_UP_CALLS);
  for (let seconds = 0; seconds < 1; seconds += RUN_SECONDS / 2) {
    rate = await run(Math.round((rate * RUN_SECONDS) / 2));
  }
  return async () => {
    rate = await run(Math.round(rate * RUN_SECONDS));
    return rate;
  };
}
