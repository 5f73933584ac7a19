import type { DescService } from "@bufbuild/protobuf";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { AdminService } from "../../gen/prism/admin/v1/admin_pb.ts";
import { file_prism_common_errors } from "../../gen/prism/common/errors_pb.ts";
import { NamespaceService } from "../../gen/prism/control/v1/namespace_pb.ts";
import { type CallSettings, implement } from "../calls/implement.ts";
import type { ServiceMethods } from "../calls/served-method.ts";
import type { NamespaceController } from "../namespaces/controller.ts";
import { type AdminSources, createAdmin } from "./admin.ts";
import { createNamespaces } from "./namespaces.ts";
import { createReflection } from "./reflection.ts";

/** Every service of the admin port but those about data. */
const ADMIN_SERVICES = [
  AdminService,
  NamespaceService,
  ServerReflection,
  ServerReflectionV1Alpha,
] as const satisfies readonly DescService[];

/** What the services of the admin port need. */
export interface AdminServiceOptions {
  /** What AdminService tells of. */
  readonly sources: AdminSources;
  readonly control: NamespaceController;
  /** The other services of the port, for reflection. */
  readonly others: readonly DescService[];
  /** What surrounds every handler. */
  readonly calls: CallSettings;
}

/** Makes the services of the admin port, each handler within the policies. */
export function createAdminServices(options: AdminServiceOptions): ServiceMethods[] {
  const { sources, control, others, calls } = options;
  const reflection = createReflection([...ADMIN_SERVICES, ...others], [file_prism_common_errors]);
  return [
    implement(AdminService, createAdmin(sources), calls),
    implement(NamespaceService, createNamespaces(control), calls),
    implement(ServerReflection, reflection, calls),
    implement(ServerReflectionV1Alpha, reflection, calls),
  ];
}
