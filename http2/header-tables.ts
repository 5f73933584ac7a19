import { classifyName, type Field, FieldKind, makeField } from "./header-field.ts";

/** RFC 7541 appendix A, in order; index 1 is the first. */
// biome-ignore format: a table
const STATIC_FIELDS: readonly (readonly [string, string])[] = [
  [":authority", ""], [":method", "GET"], [":method", "POST"], [":path", "/"], [":path", "/index.html"],
  [":scheme", "http"], [":scheme", "https"], [":status", "200"], [":status", "204"], [":status", "206"],
  [":status", "304"], [":status", "400"], [":status", "404"], [":status", "500"], ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"], ["accept-language", ""], ["accept-ranges", ""], ["accept", ""],
  ["access-control-allow-origin", ""], ["age", ""], ["allow", ""], ["authorization", ""], ["cache-control", ""],
  ["content-disposition", ""], ["content-encoding", ""], ["content-language", ""], ["content-length", ""],
  ["content-location", ""], ["content-range", ""], ["content-type", ""], ["cookie", ""], ["date", ""], ["etag", ""],
  ["expect", ""], ["expires", ""], ["from", ""], ["host", ""], ["if-match", ""], ["if-modified-since", ""],
  ["if-none-match", ""], ["if-range", ""], ["if-unmodified-since", ""], ["last-modified", ""], ["link", ""],
  ["location", ""], ["max-forwards", ""], ["proxy-authenticate", ""], ["proxy-authorization", ""], ["range", ""],
  ["referer", ""], ["refresh", ""], ["retry-after", ""], ["server", ""], ["set-cookie", ""],
  ["strict-transport-security", ""], ["transfer-encoding", ""], ["user-agent", ""], ["vary", ""], ["via", ""],
  ["www-authenticate", ""],
];

/** Entries of the static table; dynamic ones are counted from the next (RFC 7541 section 2.3.3). */
export const STATIC_COUNT = STATIC_FIELDS.length;

/** The static table by index; at 0, which is no index, a field that nothing refers to. */
export const staticTable: readonly Field[] = [
  makeField("", "", FieldKind.MALFORMED),
  ...STATIC_FIELDS.map(([name, value]) => makeField(name, value, classifyName(name))),
];

/** Static index of a name and value, and the first one of a name. */
export const staticIndexOfField = new Map<string, number>();
export const staticIndexOfName = new Map<string, number>();
for (const [i, [name, value]] of STATIC_FIELDS.entries()) {
  staticIndexOfField.set(fieldKey(name, value), i + 1);
  if (!staticIndexOfName.has(name)) {
    staticIndexOfName.set(name, i + 1);
  }
}

/** No name and no value has a NUL in it, so no two fields share a key. */
export function fieldKey(name: string, value: string): string {
  return `${name}\0${value}`;
}

/** Evicted slots at the front of the array before it is cut. */
const COMPACT_AT = 64;

/** The dynamic table (RFC 7541 section 2.3.2): first in, first out, bounded in bytes. */
export class DynamicTable {
  /** Grows with every entry; an entry's number never changes. */
  inserted = 0;
  /**
   * Changes with every insertion and eviction. What was made from the table is valid until then.
   */
  generation = 0;
  bytes = 0;
  maxBytes: number;
  readonly #onEvict: ((field: Field, number: number) => void) | undefined;
  #fields: Field[] = [];
  #evicted = 0;

  constructor(maxBytes: number, onEvict?: (field: Field, number: number) => void) {
    this.maxBytes = maxBytes;
    this.#onEvict = onEvict;
  }

  get count(): number {
    return this.#fields.length - this.#evicted;
  }

  /** `index` counts from 1, the newest. */
  at(index: number): Field | undefined {
    return index > this.count ? undefined : this.#fields[this.#fields.length - index];
  }

  /**
   * Evicts old fields until there is room. A field larger than the table empties it (section 4.4).
   */
  insert(field: Field): void {
    this.generation++;
    this.#evictTo(this.maxBytes - field.bytes);
    if (field.bytes <= this.maxBytes) {
      this.#fields.push(field);
      this.bytes += field.bytes;
      this.inserted++;
    }
  }

  resize(maxBytes: number): void {
    this.generation++;
    this.maxBytes = maxBytes;
    this.#evictTo(maxBytes);
  }

  #evictTo(maxBytes: number): void {
    while (this.bytes > maxBytes && this.count > 0) {
      const field = this.#fields[this.#evicted++];
      if (field !== undefined) {
        this.bytes -= field.bytes;
        this.#onEvict?.(field, this.inserted - this.count - 1);
      }
    }
    if (this.#evicted >= COMPACT_AT) {
      this.#fields = this.#fields.slice(this.#evicted);
      this.#evicted = 0;
    }
  }
}
