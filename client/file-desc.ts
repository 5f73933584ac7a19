import { createFileRegistry, type DescFile, type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { boot, type FileDescriptorProtoBoot, messageDesc } from "@bufbuild/protobuf/codegenv2";
import { protoCamelCase } from "@bufbuild/protobuf/reflect";
import { base64Decode } from "@bufbuild/protobuf/wire";
import type { DescriptorProto, FileDescriptorProto } from "@bufbuild/protobuf/wkt";

type MessageBoot = FileDescriptorProtoBoot["messageType"][number];
type FieldBoot = NonNullable<MessageBoot["field"]>[number];

// As in google/protobuf/descriptor.proto, where labels and types of fields are enums.
const REPEATED = 3;
const BOOL = 8;
const TEXT = 9;
const MESSAGE = 11;
const NUMBER = 5;

function message(name: string, fields: readonly FieldBoot[]): MessageBoot {
  return { name, field: [...fields] };
}

function field(name: string, number: number, type: FieldBoot["type"]): FieldBoot {
  return { name, number, type, label: 1 };
}

function messages(
  name: string,
  number: number,
  type: string,
  label: FieldBoot["label"] = REPEATED,
): FieldBoot {
  return { name, number, type: MESSAGE, label: label ?? REPEATED, typeName: `.google.protobuf.${type}` };
}

const NAME = field("name", 1, TEXT);

/** The part of google/protobuf/descriptor.proto that the gateway's files use. */
const DESCRIPTOR: FileDescriptorProtoBoot = {
  name: "google/protobuf/descriptor.proto",
  package: "google.protobuf",
  enumType: [],
  messageType: [
    message("FileDescriptorProto", [
      NAME,
      field("package", 2, TEXT),
      { ...field("dependency", 3, TEXT), label: REPEATED },
      messages("message_type", 4, "DescriptorProto"),
      messages("enum_type", 5, "EnumDescriptorProto"),
      messages("service", 6, "ServiceDescriptorProto"),
      messages("extension", 7, "FieldDescriptorProto"),
      field("syntax", 12, TEXT),
      field("edition", 14, NUMBER),
    ]),
    message("DescriptorProto", [
      NAME,
      messages("field", 2, "FieldDescriptorProto"),
      messages("nested_type", 3, "DescriptorProto"),
      messages("enum_type", 4, "EnumDescriptorProto"),
      messages("extension", 6, "FieldDescriptorProto"),
      messages("options", 7, "MessageOptions", 1),
      messages("oneof_decl", 8, "OneofDescriptorProto"),
    ]),
    message("FieldDescriptorProto", [
      NAME,
      field("number", 3, NUMBER),
      field("label", 4, NUMBER),
      field("type", 5, NUMBER),
      field("type_name", 6, TEXT),
      field("oneof_index", 9, NUMBER),
      field("json_name", 10, TEXT),
      field("proto3_optional", 17, BOOL),
    ]),
    message("OneofDescriptorProto", [NAME]),
    message("EnumDescriptorProto", [NAME, messages("value", 2, "EnumValueDescriptorProto")]),
    message("EnumValueDescriptorProto", [NAME, field("number", 2, NUMBER)]),
    message("ServiceDescriptorProto", [
      NAME,
      messages("method", 2, "MethodDescriptorProto"),
      messages("options", 3, "ServiceOptions", 1),
    ]),
    message("MethodDescriptorProto", [
      NAME,
      field("input_type", 2, TEXT),
      field("output_type", 3, TEXT),
      messages("options", 4, "MethodOptions", 1),
      field("client_streaming", 5, BOOL),
      field("server_streaming", 6, BOOL),
    ]),
    message("MessageOptions", [field("map_entry", 7, BOOL)]),
    message("ServiceOptions", []),
    message("MethodOptions", [field("idempotency_level", 34, NUMBER)]),
  ],
};

const FILE = /*@__PURE__*/ messageDesc(/*@__PURE__*/ boot(DESCRIPTOR), 0);

/**
 * Reads the descriptor of a file, as the function of this name in @bufbuild/protobuf, which needs
 * all of google/protobuf/descriptor.proto: a page loads a tenth less. The built package uses it;
 * `client/manifest.ts` puts it there.
 */
export function fileDesc(base64: string, imports: readonly DescFile[] = []): DescFile {
  const root = fromBinary(FILE as DescMessage, base64Decode(base64)) as unknown as FileDescriptorProto;
  root.messageType.forEach(restoreJsonNames);
  root.dependency = imports.map(({ proto }) => proto.name);
  const find = (name: string) => imports.find(({ proto }) => proto.name === name);
  const file = createFileRegistry(root, find).getFile(root.name);
  if (file === undefined) {
    throw new Error(`no descriptor of ${root.name}`);
  }
  return file;
}

/** Generated code leaves out what follows from a field's name. */
function restoreJsonNames({ field: fields, nestedType }: DescriptorProto): void {
  for (const each of fields) {
    each.jsonName ||= protoCamelCase(each.name);
  }
  nestedType.forEach(restoreJsonNames);
}
