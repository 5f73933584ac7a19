import type { DescMethodUnary, DescService } from "@bufbuild/protobuf";
import type { ConnectRouter, MethodImpl } from "@connectrpc/connect";
import {
  type CallPolicy,
  type Handlers,
  implement,
  type StreamMethod,
  type UnaryMethod,
} from "./implement.ts";
import { connectOptions, type RequestReaders } from "./request-reader.ts";

/**
 * Registers a service with a Connect router, each method with the limits of its requests and each handler within the
 * policies. Answers the methods that take one request, for the direct path.
 */
export function registerService<S extends DescService>(
  connect: ConnectRouter,
  service: S,
  handlers: Handlers<S>,
  policy: CallPolicy,
  readerOf: RequestReaders,
): readonly (UnaryMethod | StreamMethod)[] {
  const { impl, methods } = implement(service, handlers, policy);
  for (const method of service.methods) {
    // Connect goes by the kind of the method, whatever the type says.
    connect.rpc(
      method as DescMethodUnary,
      impl[method.localName] as MethodImpl<DescMethodUnary>,
      connectOptions(readerOf(method.input)),
    );
  }
  return methods;
}
