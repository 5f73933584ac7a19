import {
  type AnyDesc,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
} from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { getComments } from "@bufbuild/protoplugin";
import { idempotent, required_permissions, timeout_ms } from "../../gen/prism/options_pb.ts";

/** The services of a port, in the order of their names. */
export interface Port {
  readonly title: string;
  /** Its default address. */
  readonly address: string;
  readonly services: readonly DescService[];
}

/** Services that operators call. */
const OPERATORS: ReadonlySet<string> = new Set(["prism.admin.v1", "prism.control.v1"]);

/** Prism's own services. Those of gRPC have documents of their own. */
export function servicesOf(files: readonly DescFile[]): readonly Port[] {
  const all = files
    .filter(({ proto }) => proto.package.startsWith("prism."))
    .flatMap(({ services }) => services)
    .sort((a, b) => (a.typeName < b.typeName ? -1 : 1));
  const isOperators = ({ file }: DescService) => OPERATORS.has(file.proto.package);
  return [
    {
      title: "For applications",
      address: "localhost:8980",
      services: all.filter((service) => !isOperators(service)),
    },
    { title: "For operators", address: "localhost:8090", services: all.filter(isOperators) },
  ];
}

/** The comment in front of something in `proto/`, without the space behind the slashes. */
export function commentOf(desc: Exclude<AnyDesc, DescFile>): string {
  return (getComments(desc).leading ?? "")
    .split("\n")
    .map((line) => line.replace(/^ /, "").trimEnd())
    .join("\n")
    .trim();
}

/** What the options of a method say. */
export function factsOf(method: DescMethod) {
  return {
    timeoutMs: getOption(method, timeout_ms),
    idempotent: getOption(method, idempotent),
    writes: method.idempotency !== MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS,
    permissions: getOption(method, required_permissions),
  };
}

/** Every message that the methods of services name, and those in them, each once. */
export function messagesOf(services: readonly DescService[]): readonly DescMessage[] {
  const found = new Map<string, DescMessage>();
  const add = (message: DescMessage) => {
    if (!found.has(message.typeName)) {
      found.set(message.typeName, message);
      for (const field of message.fields) {
        const inner = messageIn(field);
        if (inner !== undefined) {
          add(inner);
        }
      }
    }
  };
  for (const { methods } of services) {
    for (const { input, output } of methods) {
      add(input);
      add(output);
    }
  }
  return [...found.values()];
}

/** Every enum of the fields of messages, each once. */
export function enumsOf(messages: readonly DescMessage[]): readonly DescEnum[] {
  return [...new Set(messages.flatMap(({ fields }) => fields.flatMap((field) => field.enum ?? [])))];
}

/** The message type of a field, of its list or of its map's values. */
export function messageIn(field: DescField): DescMessage | undefined {
  return field.fieldKind === "enum" || field.fieldKind === "scalar" ? undefined : field.message;
}
