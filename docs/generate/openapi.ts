import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  ScalarType,
} from "@bufbuild/protobuf";
import manifest from "../../package.json" with { type: "json" };
import { commentOf, enumsOf, factsOf, messagesOf, type Port } from "./services.ts";

/** A schema of JSON Schema 2020-12, which OpenAPI 3.1 uses. */
type Schema = Readonly<Record<string, unknown>>;

/**
 * The JSON API as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0): every call that has one
 * answer. Calls that stream use Connect's own framing over HTTP, which OpenAPI cannot describe.
 */
export function openApiOf(ports: readonly Port[]): string {
  const services = ports.flatMap((port) => port.services);
  const messages = messagesOf(services);
  const document = {
    openapi: "3.1.0",
    info: {
      title: "Prism",
      version: manifest.version,
      description:
        "The JSON API of a Prism gateway: Connect's unary calls. The same calls are there over gRPC and gRPC-Web, and calls that stream with them.",
      license: { name: manifest.license, identifier: manifest.license },
    },
    servers: ports.map(({ title, address }) => ({ url: `http://${address}`, description: title })),
    security: [{}, { bearer: [] }],
    tags: services.map((service) => ({ name: service.typeName, description: commentOf(service) })),
    paths: Object.fromEntries(
      ports.flatMap((port) =>
        port.services.flatMap(({ methods }) =>
          methods
            .filter(({ methodKind }) => methodKind === "unary")
            .map((method) => [pathOf(method), { ...serversOf(port, ports), post: operationOf(method) }]),
        ),
      ),
    ),
    components: {
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "An API key or a token, where auth is configured.",
        },
      },
      responses: {
        Error: {
          description: "The call failed. The status follows the code.",
          content: { "application/json": { schema: { $ref: "#/components/schemas/connect.Error" } } },
        },
      },
      schemas: {
        "connect.Error": ERROR,
        ...Object.fromEntries(messages.map((message) => [message.typeName, schemaOf(message)])),
        ...Object.fromEntries(enumsOf(messages).map((each) => [each.typeName, enumSchemaOf(each)])),
      },
    },
  };
  return `${JSON.stringify(document, undefined, 2)}\n`;
}

/** The JSON of a failure (https://connectrpc.com/docs/protocol/#error-end-stream). */
const ERROR: Schema = {
  type: "object",
  required: ["code"],
  properties: {
    code: { type: "string", description: "The status code: not_found, invalid_argument, unavailable, ..." },
    message: { type: "string", description: "What is wrong, for people." },
    details: {
      type: "array",
      description: "One prism.common.Error, which has the reason.",
      items: {
        type: "object",
        properties: {
          type: { type: "string" },
          value: { type: "string", description: "The message in Protobuf, as base64." },
          debug: { description: "The message as JSON." },
        },
      },
    },
  },
};

/** Only a path of another port than the first has servers of its own. */
function serversOf(port: Port, [first]: readonly Port[]): object {
  return port === first ? {} : { servers: [{ url: `http://${port.address}`, description: port.title }] };
}

function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

function operationOf(method: DescMethod): object {
  const description = commentOf(method);
  const { timeoutMs, idempotent, permissions } = factsOf(method);
  return {
    operationId: `${method.parent.name}_${method.name}`,
    tags: [method.parent.typeName],
    summary: description.split(/(?<=\.)\s/)[0]?.replaceAll("\n", " "),
    description,
    "x-timeout-ms": timeoutMs,
    "x-idempotent": idempotent,
    "x-required-permissions": permissions,
    requestBody: {
      required: true,
      content: { "application/json": { schema: refTo(method.input) } },
    },
    responses: {
      "200": {
        description: "The answer.",
        content: { "application/json": { schema: refTo(method.output) } },
      },
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function refTo({ typeName }: DescMessage | DescEnum): Schema {
  return { $ref: `#/components/schemas/${typeName}` };
}

function enumSchemaOf(desc: DescEnum): Schema {
  const values = desc.values.map((value) => `- ${value.name}: ${commentOf(value).replaceAll("\n", " ")}`);
  return {
    type: "string",
    description: [commentOf(desc), values.join("\n")].filter(Boolean).join("\n\n"),
    enum: desc.values.map(({ name }) => name),
  };
}

/** A message. A field that it does not have is refused. */
function schemaOf(message: DescMessage): Schema {
  return {
    type: "object",
    description: commentOf(message),
    additionalProperties: false,
    properties: Object.fromEntries(message.fields.map((field) => [field.jsonName, fieldSchemaOf(field)])),
  };
}

function fieldSchemaOf(field: DescField): Schema {
  const group = field.oneof === undefined ? "" : `At most one of: ${names(field.oneof.fields)}.`;
  const description = [commentOf(field), group].filter(Boolean).join("\n\n");
  return { ...(description !== "" && { description }), ...valueSchemaOf(field) };
}

function names(fields: readonly DescField[]): string {
  return fields.map(({ jsonName }) => jsonName).join(", ");
}

function valueSchemaOf(field: DescField): Schema {
  switch (field.fieldKind) {
    case "scalar":
      return scalarSchemaOf(field.scalar);
    case "enum":
      return refTo(field.enum);
    case "message":
      return refTo(field.message);
    case "list":
      return { type: "array", items: single(field) };
    case "map":
      return { type: "object", additionalProperties: single(field) };
  }
}

/** One of a list, or one value of a map. */
function single(field: DescField & { readonly fieldKind: "list" | "map" }): Schema {
  const kind = field.fieldKind === "list" ? field.listKind : field.mapKind;
  if (kind === "message" && field.message !== undefined) {
    return refTo(field.message);
  }
  if (kind === "enum" && field.enum !== undefined) {
    return refTo(field.enum);
  }
  return scalarSchemaOf(field.scalar ?? ScalarType.STRING);
}

/** The JSON of ProtoJSON (https://protobuf.dev/programming-guides/json/). */
function scalarSchemaOf(scalar: ScalarType): Schema {
  switch (scalar) {
    case ScalarType.STRING:
      return { type: "string" };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64" };
    case ScalarType.BOOL:
      return { type: "boolean" };
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      // A number is understood too; answers have text, because JSON's numbers are not so exact.
      return { type: ["string", "integer"], format: "int64" };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return { type: "integer", format: "int32" };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: "number" };
  }
}
