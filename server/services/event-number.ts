/** The longest number in an event, as text. */
export const MAX_NUMBER_BYTES = 64;

/** RFC 8259, section 6. */
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/**
 * The number that a text is: a JSON number of at most 64 bytes. `undefined` = it is none, or it is
 * beyond what a float64 can hold.
 */
export function numberIn(text: string): number | undefined {
  if (text.length > MAX_NUMBER_BYTES || !JSON_NUMBER.test(text)) {
    return undefined;
  }
  // Zero has no sign here.
  const number = Number(text) + 0;
  return Number.isFinite(number) ? number : undefined;
}

/** The number that a payload is, as {@link numberIn}. */
export function numberInBytes(bytes: Uint8Array): number | undefined {
  if (bytes.length > MAX_NUMBER_BYTES) {
    return undefined;
  }
  return numberIn(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"));
}
