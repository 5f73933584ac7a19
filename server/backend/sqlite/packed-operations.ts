import { WRITE_NAMES, type WriteName } from "../operations.ts";
import { FORMS } from "./item-forms.ts";
import type { Operation, WriteItems, WriteOf } from "./operation.ts";
import { type Form, Packer, packAll, Unpacker, unpackAll } from "./packer.ts";

/** The place of a type is its code. */
const TYPES = [...WRITE_NAMES, "sweep", "erase", "probe"] as const;

/**
 * Operations as bytes of their own, to be handed to another thread without a copy. Cloned as
 * objects, of which each value has a buffer for itself, they cost a quarter of all that is done for
 * a call.
 *
 * @param expectedBytes About how many bytes they have.
 */
export function packOperations(
  operations: readonly Operation[],
  expectedBytes?: number,
): Uint8Array<ArrayBuffer> {
  const packer = new Packer(expectedBytes);
  for (const operation of operations) {
    packer.code(TYPES, operation.type);
    switch (operation.type) {
      case "sweep":
        packer.number(operation.maxEntries);
        break;
      case "erase":
        packer.text(operation.namespace);
        packer.number(operation.maxItems);
        break;
      case "probe":
        break;
      default:
        packWrite(packer, operation as WriteOf<WriteName>);
    }
  }
  return packer.packed();
}

function packWrite<W extends WriteName>(into: Packer, { type, namespace, items }: WriteOf<W>): void {
  const form: Form<WriteItems[W]> = FORMS[type];
  into.text(namespace);
  packAll(into, form, items);
}

/** The operations again. Their values are views of `packed`. */
export function unpackOperations(packed: Uint8Array<ArrayBuffer>): Operation[] {
  const unpacker = new Unpacker(packed);
  const operations: Operation[] = [];
  while (!unpacker.done) {
    operations.push(unpackOne(unpacker));
  }
  return operations;
}

function unpackOne(from: Unpacker): Operation {
  const type = from.code(TYPES);
  switch (type) {
    case "sweep":
      return { type, maxEntries: from.number() };
    case "erase":
      return { type, namespace: from.text(), maxItems: from.number() };
    case "probe":
      return { type };
    default:
      return unpackWrite(from, type) as Operation;
  }
}

function unpackWrite<W extends WriteName>(from: Unpacker, type: W): WriteOf<W> {
  const form: Form<WriteItems[W]> = FORMS[type];
  const namespace = from.text();
  return { type, namespace, items: unpackAll(from, form) };
}
