import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type DescMethod,
  type DescService,
  ScalarType,
} from "@bufbuild/protobuf";
import { commentOf, enumsOf, factsOf, messagesOf, type Port } from "./services.ts";

/** The reference of all calls, in Markdown: what the comments in `proto/` say. */
export function referenceOf(ports: readonly Port[]): string {
  const sections = ports.flatMap(({ title, address, services }) => [
    `## ${title}\n\nOn \`${address}\` where nothing else is configured.`,
    ...services.map(serviceOf),
  ]);
  const messages = messagesOf(ports.flatMap(({ services }) => services));
  const byName = <T extends { readonly typeName: string }>(all: readonly T[]) =>
    all.toSorted((a, b) => (a.typeName < b.typeName ? -1 : 1));
  return `${[
    "# API reference",
    "Made from the comments in [proto/](../proto) by `make proto`; change it there. JSON has the same names in camel case: `ttl_seconds` is `ttlSeconds`, `bytes` are base64, and 64-bit numbers are strings. A call is `POST /SERVICE/METHOD` over Connect, and the same path over gRPC and gRPC-Web. [openapi.json](../gen/openapi.json) describes the calls with one answer for tools; the admin port has it at `/openapi.json`.",
    ports.map(({ services }) => services.map(contentsOf).join("\n")).join("\n"),
    ...sections,
    "## Messages",
    ...byName(messages).map(messageOf),
    "## Enums",
    ...byName(enumsOf(messages)).map(enumOf),
  ].join("\n\n")}\n`;
}

function contentsOf({ typeName, methods }: DescService): string {
  const calls = methods.map(({ name }) => `[${name}](#${anchorOf(typeName, name)})`).join(", ");
  return `- \`${typeName}\`: ${calls}`;
}

function serviceOf(service: DescService): string {
  return [
    `### ${service.typeName}`,
    textOf(commentOf(service)),
    ...service.methods.map((method) => methodOf(method)),
  ].join("\n\n");
}

function methodOf(method: DescMethod): string {
  const { parent, name, input, output, methodKind } = method;
  const { timeoutMs, idempotent, writes, permissions } = factsOf(method);
  const answer = methodKind === "unary" ? linkTo(output) : `a stream of ${linkTo(output)}`;
  const facts = [
    timeoutMs === 0 ? "no time limit of its own" : `at most ${timeoutMs / 1000} s`,
    writes
      ? idempotent
        ? "writes, and may be sent again"
        : "writes, and may not be sent again"
      : "writes nothing",
    permissions.length === 0 ? "" : `needs ${permissions.join(" and ")}`,
  ].filter(Boolean);
  return [
    `<a id="${anchorOf(parent.typeName, name)}"></a>\n\n#### ${name}`,
    textOf(commentOf(method)),
    `${linkTo(input)} → ${answer}; ${facts.join("; ")}.`,
  ].join("\n\n");
}

function messageOf(message: DescMessage): string {
  const { typeName, fields } = message;
  const parts = fields.map((field) => `- \`${field.name}\` (${typeOf(field)})${told(field)}`);
  return [
    `<a id="${anchorOf(typeName)}"></a>\n\n### ${typeName}`,
    textOf(commentOf(message)),
    parts.length === 0 ? "It has no fields." : parts.join("\n"),
  ]
    .filter(Boolean)
    .join("\n\n");
}

function told(desc: DescField): string {
  const comment = commentOf(desc);
  return comment === "" ? "" : `: ${comment.replaceAll(/\s*\n\s*/g, " ")}`;
}

function enumOf(desc: DescEnum): string {
  const values = desc.values.map(
    (value) => `- \`${value.name}\` (${value.number}): ${commentOf(value).replaceAll(/\s*\n\s*/g, " ")}`,
  );
  return [
    `<a id="${anchorOf(desc.typeName)}"></a>\n\n### ${desc.typeName}`,
    textOf(commentOf(desc)),
    values.join("\n"),
  ]
    .filter(Boolean)
    .join("\n\n");
}

function typeOf(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return `${nameOf(field.scalar)}${field.proto.proto3Optional ? ", optional" : ""}`;
    case "enum":
      return linkTo(field.enum);
    case "message":
      return linkTo(field.message);
    case "list":
      return `list of ${single(field)}`;
    case "map":
      return `map from ${nameOf(field.mapKey)} to ${single(field)}`;
  }
}

function single({ message, enum: values, scalar }: DescField): string {
  const type = message ?? values;
  return type === undefined ? nameOf(scalar ?? ScalarType.STRING) : linkTo(type);
}

function nameOf(scalar: ScalarType): string {
  return (ScalarType[scalar] ?? "").toLowerCase();
}

function linkTo({ typeName, name }: DescMessage | DescEnum): string {
  return `[${name}](#${anchorOf(typeName)})`;
}

function anchorOf(...parts: readonly string[]): string {
  return parts.join(".").toLowerCase();
}

/** A comment as Markdown: its indented lines are tables, which keep their columns. */
function textOf(comment: string): string {
  const lines: string[] = [];
  let isTable = false;
  for (const line of comment.split("\n")) {
    const isIndented = line.startsWith("  ");
    if (isIndented !== isTable && line !== "") {
      isTable = isIndented;
      lines.push("");
    }
    lines.push(isTable && line !== "" ? `  ${line}` : line);
  }
  return lines.join("\n").trim();
}
