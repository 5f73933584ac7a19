/** What a field means to the engine. It is found out once for each field, not for each request. */
export const FieldKind = {
  ORDINARY: 0,
  /** Makes its whole header list malformed (RFC 9113 section 8.2). */
  MALFORMED: 1,
  METHOD: 2,
  PATH: 3,
  SCHEME: 4,
  AUTHORITY: 5,
  STATUS: 6,
  CONTENT_LENGTH: 7,
  TE: 8,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/**
 * One header field, as the HPACK tables hold it: immutable, names in lower case, one char per byte.
 */
export interface Field {
  readonly name: string;
  readonly value: string;
  /** What its name alone says. */
  readonly nameKind: FieldKind;
  readonly kind: FieldKind;
  /** As the dynamic table and header list limits count it (RFC 7541 section 4.1). */
  readonly bytes: number;
}

/** RFC 7541 section 4.1. */
const FIELD_OVERHEAD_BYTES = 32;

/**
 * Makes a field and judges it. `nameKind` is `classifyName(name)`, which a table may know already.
 */
export function makeField(name: string, value: string, nameKind: FieldKind): Field {
  return {
    name,
    value,
    nameKind,
    kind: classify(nameKind, value),
    bytes: name.length + value.length + FIELD_OVERHEAD_BYTES,
  };
}

function classify(nameKind: FieldKind, value: string): FieldKind {
  if (!isValue(value)) {
    return FieldKind.MALFORMED;
  }
  switch (nameKind) {
    case FieldKind.TE:
      return value === "trailers" ? FieldKind.ORDINARY : FieldKind.MALFORMED;
    case FieldKind.CONTENT_LENGTH:
      return /^\d{1,15}$/.test(value) ? nameKind : FieldKind.MALFORMED;
    default:
      return nameKind;
  }
}

/**
 * What a name alone says: pseudo-header fields that are not known and connection-specific fields
 * are malformed.
 */
export function classifyName(name: string): FieldKind {
  switch (name) {
    case ":method":
      return FieldKind.METHOD;
    case ":path":
      return FieldKind.PATH;
    case ":scheme":
      return FieldKind.SCHEME;
    case ":authority":
      return FieldKind.AUTHORITY;
    case ":status":
      return FieldKind.STATUS;
    case "content-length":
      return FieldKind.CONTENT_LENGTH;
    case "te":
      return FieldKind.TE;
    // RFC 9113 section 8.2.2.
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return FieldKind.MALFORMED;
    default:
      return isName(name) ? FieldKind.ORDINARY : FieldKind.MALFORMED;
  }
}

/**
 * RFC 9113 section 8.2.1: a token without capitals. A colon belongs to pseudo-header fields only.
 */
function isName(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const char = name.charCodeAt(i);
    if (char <= 0x20 || char >= 0x7f || (char >= 0x41 && char <= 0x5a) || char === 0x3a) {
      return false;
    }
  }
  return name.length > 0;
}

/** RFC 9113 section 8.2.1: no NUL, LF or CR anywhere, no space or tab at either end. */
function isValue(value: string): boolean {
  const { length } = value;
  for (let i = 0; i < length; i++) {
    const char = value.charCodeAt(i);
    if (char <= 0x20) {
      const atEnd = i === 0 || i === length - 1;
      if (char === 0 || char === 0x0a || char === 0x0d || (atEnd && (char === 0x20 || char === 0x09))) {
        return false;
      }
    }
  }
  return true;
}
