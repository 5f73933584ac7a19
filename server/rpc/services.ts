import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { file_prism_common_errors } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import type { NamespaceRouter } from "../namespace/router.ts";
import { createHealth, type HealthState } from "./health.ts";
import {
  type CallPolicy,
  type Handlers,
  implement,
  type StreamMethod,
  type UnaryMethod,
} from "./implement.ts";
import { createKeyValueBasic } from "./keyvalue-basic.ts";
import { createKeyValueScan } from "./keyvalue-scan.ts";
import { createListBasic } from "./list-basic.ts";
import { createReflection } from "./reflection.ts";
import { registerService } from "./register.ts";
import type { RequestReaders } from "./request-reader.ts";

/** Every service of the data port. Reflection lists them, and health answers for each. */
export const SERVICES = [
  KeyValueBasicInterface,
  KeyValueScanInterface,
  ListBasicInterface,
  Health,
  ServerReflection,
  ServerReflectionV1Alpha,
] as const satisfies readonly DescService[];

/** What the services need. */
export interface ServiceOptions {
  readonly router: NamespaceRouter;
  readonly health: HealthState;
  readonly limits: { readonly maxValueBytes: number };
  readonly policy: CallPolicy;
  /** For Connect's own handlers. */
  readonly readerOf: RequestReaders;
}

/**
 * Registers every service with a Connect router: the one place where wire and handlers meet. Answers the methods that
 * take one request, for the direct path.
 */
export function registerServices(
  connect: ConnectRouter,
  options: ServiceOptions,
): (UnaryMethod | StreamMethod)[] {
  const { router, health, limits, policy, readerOf } = options;
  const methods: (UnaryMethod | StreamMethod)[] = [];
  const add = <S extends DescService>(service: S, handlers: Handlers<S>) => {
    const implementation = implement(service, handlers, policy);
    registerService(connect, service, implementation.impl, readerOf);
    methods.push(...implementation.methods);
  };

  add(KeyValueBasicInterface, createKeyValueBasic(router, limits));
  add(KeyValueScanInterface, createKeyValueScan(router));
  add(ListBasicInterface, createListBasic(router, limits));
  add(Health, createHealth(health));
  const reflection = createReflection(SERVICES, [file_prism_common_errors]);
  add(ServerReflection, reflection);
  add(ServerReflectionV1Alpha, reflection);
  return methods;
}
