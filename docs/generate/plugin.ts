/** A plugin of buf: writes what `document` names, from the comments and types in `proto/`. */
import { create, createFileRegistry } from "@bufbuild/protobuf";
import { CodeGeneratorResponseSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { runNodeJs } from "@bufbuild/protoplugin";
import { openApiOf } from "./openapi.ts";
import { referenceOf } from "./reference.ts";
import { servicesOf } from "./services.ts";

const DOCUMENTS = new Map([
  ["document=openapi", { name: "openapi.json", make: openApiOf }],
  ["document=reference", { name: "api-reference.md", make: referenceOf }],
]);

runNodeJs({
  name: "protoc-gen-prism-docs",
  version: "v1",
  run({ parameter, protoFile, fileToGenerate }) {
    const document = DOCUMENTS.get(parameter);
    if (document === undefined) {
      throw new Error(`expected one of ${[...DOCUMENTS.keys()].join(", ")}`);
    }
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: protoFile }));
    const files = fileToGenerate.flatMap((name) => registry.getFile(name) ?? []);
    return create(CodeGeneratorResponseSchema, {
      // FEATURE_PROTO3_OPTIONAL
      supportedFeatures: 1n,
      file: [{ name: document.name, content: document.make(servicesOf(files)) }],
    });
  },
});
