import { createRegistry, type DescFile, type DescService, type Registry, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** gRPC's codes for the two errors that reflection answers within its own responses. */
const GRPC_INVALID_ARGUMENT = 3;
const GRPC_NOT_FOUND = 5;

/**
 * A ServerReflectionRequest of either version of the protocol. They differ only in their package
 * name.
 */
interface Request {
  readonly host: string;
  readonly messageRequest: Question;
}

type Question =
  | { case: "fileByFilename" | "fileContainingSymbol"; value: string }
  | { case: "allExtensionNumbersOfType" | "listServices"; value: string }
  | { case: "fileContainingExtension"; value: { containingType: string; extensionNumber: number } }
  | { case: undefined; value?: undefined };

type Answer =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: "listServicesResponse"; value: { service: { name: string }[] } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } };

/** What can be asked about: the files that define the services, and all that these import. */
interface Schema {
  readonly types: Registry;
  readonly files: ReadonlyMap<string, DescFile>;
  readonly services: { name: string }[];
}

/**
 * grpc.reflection: tells grpcurl, `buf curl` and the like the `services` and their messages. Also
 * describes `others`, files that no service imports, such as the error detail's. Serves both
 * versions of the protocol, v1 and v1alpha.
 */
export function createReflection(services: readonly DescService[], others: readonly DescFile[]) {
  const all = allFiles([...services.map((service) => service.file), ...others]);
  const schema: Schema = {
    types: createRegistry(...all),
    files: new Map(all.map((file) => [`${file.name}.proto`, file])),
    services: services.map((service) => ({ name: service.typeName })),
  };
  return {
    async *serverReflectionInfo(requests: AsyncIterable<Request>) {
      for await (const { host, messageRequest } of requests) {
        yield [
          {
            validHost: host,
            originalRequest: { host, messageRequest },
            messageResponse: answer(messageRequest, schema),
          },
        ];
      }
    },
  };
}

function answer(question: Question, { types, files, services }: Schema): Answer {
  switch (question.case) {
    case "fileByFilename":
      return fileAnswer(files.get(question.value), question.value);
    case "fileContainingSymbol":
      return fileAnswer(fileOfSymbol(types, question.value), question.value);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      const extensions = extensionsOf(types, containingType);
      const found = extensions.find((extension) => extension.number === extensionNumber);
      return fileAnswer(found?.file, `${containingType} extension ${extensionNumber}`);
    }
    case "allExtensionNumbersOfType": {
      if (types.getMessage(question.value) === undefined) {
        return notFound(question.value);
      }
      const numbers = extensionsOf(types, question.value).map((extension) => extension.number);
      return {
        case: "allExtensionNumbersResponse",
        value: { baseTypeName: question.value, extensionNumber: numbers.sort((a, b) => a - b) },
      };
    }
    case "listServices":
      return { case: "listServicesResponse", value: { service: services } };
    case undefined:
      return {
        case: "errorResponse",
        value: { errorCode: GRPC_INVALID_ARGUMENT, errorMessage: "message_request is not set" },
      };
  }
}

/** The file and all that it imports, because clients would ask for these next. */
function fileAnswer(file: DescFile | undefined, name: string): Answer {
  if (file === undefined) {
    return notFound(name);
  }
  const fileDescriptorProto = allFiles([file]).map((each) => toBinary(FileDescriptorProtoSchema, each.proto));
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(name: string): Answer {
  return {
    case: "errorResponse",
    value: { errorCode: GRPC_NOT_FOUND, errorMessage: `not found: ${name.slice(0, 256)}` },
  };
}

/**
 * The file of a message, enum, extension or service, or of a method (`package.Service.Method`) or
 * field in one.
 */
function fileOfSymbol(types: Registry, symbol: string): DescFile | undefined {
  const parent = symbol.slice(0, Math.max(0, symbol.lastIndexOf(".")));
  const member = symbol.slice(parent.length + 1);
  const desc = types.get(symbol);
  if (desc !== undefined) {
    return desc.file;
  }
  const owner = types.get(parent);
  switch (owner?.kind) {
    case "service":
      return owner.methods.some((method) => method.name === member) ? owner.file : undefined;
    case "message":
      return owner.fields.some((field) => field.name === member) ? owner.file : undefined;
    default:
      return undefined;
  }
}

function extensionsOf(types: Registry, typeName: string) {
  return [...types].flatMap((desc) =>
    desc.kind === "extension" && desc.extendee.typeName === typeName ? [desc] : [],
  );
}

/** The files and everything that they import, each once and after its own imports. */
function allFiles(roots: readonly DescFile[]): DescFile[] {
  const seen = new Map<string, DescFile>();
  const visit = (file: DescFile) => {
    if (!seen.has(file.name)) {
      seen.set(file.name, file);
      file.dependencies.forEach(visit);
    }
  };
  roots.forEach(visit);
  return [...seen.values()];
}
