/** Random messages of any type, for tests of readers and writers. */
import { create, createFileRegistry, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

const SCALAR_TYPES = Object.values(ScalarType).filter((type) => typeof type === "number");

/**
 * A message type with every kind of field: singular, optional, repeated (packed or not), oneof and
 * map.
 */
export function everyKind(): DescMessage {
  const types = [...SCALAR_TYPES.map((type) => type as number as Type), Type.ENUM, Type.MESSAGE];
  const named = (type: Type) => ({
    ...(type === Type.ENUM && { typeName: ".t.Choice" }),
    ...(type === Type.MESSAGE && { typeName: ".t.Every" }),
  });
  // Numbers far apart and out of order, so that tags have every length and sorting matters.
  const field = (prefix: string, type: Type, number: number, more: object) => ({
    name: `${prefix}_${type}`,
    jsonName: `${prefix}${type}`,
    number,
    type,
    label: Label.OPTIONAL,
    ...named(type),
    ...more,
  });
  const packable = (type: Type) => ![Type.STRING, Type.BYTES, Type.MESSAGE].includes(type);
  const optional = types.filter((type) => type !== Type.MESSAGE);
  const keys = types.filter(
    (type) => ![Type.FLOAT, Type.DOUBLE, Type.BYTES, Type.ENUM, Type.MESSAGE].includes(type),
  );
  const registry = createFileRegistry(
    create(FileDescriptorSetSchema, {
      file: [
        {
          name: "t.proto",
          package: "t",
          syntax: "proto3",
          enumType: [
            {
              name: "Choice",
              value: [
                { name: "A", number: 0 },
                { name: "B", number: -7 },
                { name: "C", number: 300 },
              ],
            },
          ],
          messageType: [
            {
              name: "Every",
              field: [
                ...types.map((type, i) => field("single", type, 2000 - i, {})),
                ...types.map((type, i) => field("many", type, 1 + i, { label: Label.REPEATED })),
                ...types
                  .filter(packable)
                  .map((type, i) =>
                    field("unpacked", type, 100 + i, { label: Label.REPEATED, options: { packed: false } }),
                  ),
                ...types.map((type, i) => field("one", type, 70_000 + i, { oneofIndex: 0 })),
                ...optional.map((type, i) =>
                  field("maybe", type, 300 + i, { proto3Optional: true, oneofIndex: 1 + i }),
                ),
                ...keys.map((type, i) => ({
                  name: `by_${type}`,
                  jsonName: `by${type}`,
                  number: 400 + i,
                  type: Type.MESSAGE,
                  label: Label.REPEATED,
                  typeName: `.t.Every.By${type}Entry`,
                })),
              ],
              oneofDecl: [{ name: "one" }, ...optional.map((type) => ({ name: `_maybe_${type}` }))],
              nestedType: keys.map((type, i) => ({
                name: `By${type}Entry`,
                options: { mapEntry: true },
                field: [
                  { name: "key", number: 1, type, label: Label.OPTIONAL },
                  {
                    name: "value",
                    number: 2,
                    // Every kind of value with some kind of key.
                    type: types[(i * 5) % types.length] ?? Type.MESSAGE,
                    label: Label.OPTIONAL,
                    ...named(types[(i * 5) % types.length] ?? Type.MESSAGE),
                  },
                ],
              })),
            },
          ],
        },
      ],
    }),
  );
  const desc = registry.getMessage("t.Every");
  if (desc === undefined) {
    throw new Error("the type was not made");
  }
  return desc;
}

/** Text of any characters. */
export const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 8 }),
  fc.string({ unit: "grapheme", maxLength: 90 }),
  fc.string({ minLength: 60, maxLength: 300 }),
);

function anyScalar(type: ScalarType): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return anyText;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 300 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.FLOAT:
      return fc.oneof(fc.constant(-0), fc.float());
    case ScalarType.DOUBLE:
      return fc.oneof(fc.constant(-0), fc.double());
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return fc.oneof(fc.nat(300), fc.integer());
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(0n, 2n ** 64n - 1n));
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.oneof(fc.bigInt(0n, 300n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
  }
}

function anyValue(
  { scalar, message }: { scalar?: ScalarType | undefined; message?: DescMessage | undefined },
  depth: number,
): fc.Arbitrary<unknown> {
  if (message !== undefined) {
    return depth === 0 ? fc.constant({}) : anyInit(message, depth - 1);
  }
  return scalar === undefined ? fc.constantFrom(0, -7, 300, 12_345) : anyScalar(scalar);
}

function anyField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "list":
      return fc.array(anyValue(field, depth), { maxLength: 3 });
    case "map":
      return fc
        .array(fc.tuple(anyScalar(field.mapKey), anyValue(field, depth)), { maxLength: 2 })
        .map((pairs) => Object.fromEntries(pairs.map(([key, value]) => [String(key), value])));
    default:
      return anyValue(field, depth);
  }
}

/** An argument for `create`: any of the fields, and at most one of a oneof. */
export function anyInit(desc: DescMessage, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const plain = desc.fields.filter(({ oneof }) => oneof === undefined);
  const fields = fc
    .subarray(plain, { maxLength: Math.min(plain.length, 8) })
    .chain((chosen) =>
      fc.record(
        Object.fromEntries(chosen.map((field) => [field.localName, anyField(field, depth)])) as Record<
          string,
          fc.Arbitrary<unknown>
        >,
      ),
    );
  const groups = desc.oneofs.map((oneof) =>
    fc
      .constantFrom(undefined, ...oneof.fields)
      .chain((field) =>
        field === undefined
          ? fc.constant({})
          : anyField(field, depth).map((value) => ({ [oneof.localName]: { case: field.localName, value } })),
      ),
  );
  return fc.tuple(fields, ...groups).map((parts) => Object.assign({}, ...parts));
}
