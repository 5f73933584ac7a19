/**
 * Arrays as parameters in PostgreSQL's binary form (array_recv in its source). In text form bytes
 * would become hexadecimal digits, quoted and escaped. The driver sends a Buffer unchanged.
 */

/**
 * The number of dimensions, flags and the element type; then the one dimension's length and first
 * index.
 */
const HEAD_BYTES = 20;

/** Type numbers from pg_type.dat in PostgreSQL's source. */
const BOOL = 16;
const BYTEA = 17;
const INT8 = 20;
const INT4 = 23;
const TEXT = 25;

/** For `$n::bytea[]`. */
export function byteaArray(items: readonly Uint8Array[]): Buffer {
  return ofBytes(BYTEA, items);
}

/** The same; `undefined` = NULL. */
export function optionalByteaArray(items: readonly (Uint8Array | undefined)[]): Buffer {
  return ofBytes(BYTEA, items);
}

/** For `$n::text[]`. */
export function textArray(items: readonly string[]): Buffer {
  return ofBytes(
    TEXT,
    items.map((item) => Buffer.from(item)),
  );
}

/** For `$n::integer[]`. */
export function integerArray(items: readonly number[]): Buffer {
  return ofOneSize(INT4, 4, items, (array, item, at) => array.writeInt32BE(item, at));
}

function ofBytes(type: number, items: readonly (Uint8Array | undefined)[]): Buffer {
  let bytes = HEAD_BYTES;
  let hasNulls = false;
  for (const item of items) {
    bytes += 4 + (item?.length ?? 0);
    hasNulls ||= item === undefined;
  }
  const array = head(type, items.length, bytes);
  array.writeInt32BE(hasNulls ? 1 : 0, 4);
  let at = HEAD_BYTES;
  for (const item of items) {
    at = array.writeInt32BE(item?.length ?? -1, at);
    if (item !== undefined) {
      array.set(item, at);
      at += item.length;
    }
  }
  return array;
}

/** For `$n::bigint[]`. */
export function bigintArray(items: readonly (number | bigint)[]): Buffer {
  return ofOneSize(INT8, 8, items, (array, item, at) => array.writeBigInt64BE(BigInt(item), at));
}

/** For `$n::boolean[]`. */
export function booleanArray(items: readonly boolean[]): Buffer {
  return ofOneSize(BOOL, 1, items, (array, item, at) => array.writeUInt8(item ? 1 : 0, at));
}

function ofOneSize<T>(
  type: number,
  bytes: number,
  items: readonly T[],
  write: (array: Buffer, item: T, at: number) => void,
): Buffer {
  const array = head(type, items.length, HEAD_BYTES + (4 + bytes) * items.length);
  items.forEach((item, i) => {
    const at = array.writeInt32BE(bytes, HEAD_BYTES + (4 + bytes) * i);
    write(array, item, at);
  });
  return array;
}

function head(type: number, length: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(type, 8);
  array.writeInt32BE(length, 12);
  array.writeInt32BE(1, 16);
  return array;
}
