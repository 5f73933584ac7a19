import { create, type DescMethod, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { h2load } from "./h2load.ts";
import type { Peer } from "./process.ts";

const { get, set } = KeyValueBasicInterface.method;

/** How many calls are under way at once, and on how many connections. */
export interface Shape {
  readonly connections: number;
  readonly streams: number;
}

/** A call that load is made of. */
export interface BenchCall {
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly http1: boolean;
}

/** Values that are read and written, by the names that `bench/peers/store.ts` gives them. */
export const VALUE_BYTES = { small: 100, large: 10_000 } as const;
export type ValueSize = keyof typeof VALUE_BYTES;

/** The content type of every gRPC call here. */
export const GRPC = "application/grpc+proto";

/** Where a method is called. */
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

/** Puts the values into a Prism that was just started. */
export async function fill({ port }: Peer): Promise<void> {
  for (const size of Object.keys(VALUE_BYTES) as ValueSize[]) {
    const response = await fetch(`http://127.0.0.1:${port}${pathOf(set)}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: toJsonString(set.input, create(set.input, setRequest(size))),
    });
    if (!response.ok) {
      throw new Error(`Set failed: ${await response.text()}`);
    }
  }
}

/** How long a run takes, and how many calls the first, which only warms up, makes. */
const RUN_SECONDS = 0.5;
const WARM_UP_CALLS = 2_000;

/** A contender: calls a second of a peer. It is warmed up first, and then each run is about as long, however fast it is. */
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
