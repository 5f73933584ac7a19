import type { DescMethodUnary, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, MethodImpl, ServiceImpl } from "@connectrpc/connect";
import { connectOptions, type RequestReaders } from "./request-reader.ts";

/** Registers a service with a Connect router, each method with the limits of its own requests. */
export function registerService<S extends DescService>(
  connect: ConnectRouter,
  service: S,
  impl: ServiceImpl<S>,
  readerOf: RequestReaders,
): void {
  for (const method of service.methods) {
    // Connect goes by the kind of the method, whatever the type says.
    connect.rpc(
      method as DescMethodUnary,
      impl[method.localName] as MethodImpl<DescMethodUnary>,
      connectOptions(readerOf(method.input)),
    );
  }
}
