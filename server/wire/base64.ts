/**
 * Decodes base64 or base64url, with or without padding (RFC 4648, sections 4 and 5). `undefined`
 * for anything else: white space, other characters, mixed alphabets, wrong padding. Unused bits of
 * the last digit may be set, because protobuf's conformance suite demands that.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  if (digits % 4 === 1 || (padding > 0 && text.length % 4 !== 0) || !isOneAlphabet(text)) {
    return undefined;
  }
  // Eight times as fast as Uint8Array.fromBase64. It skips invalid digits, which makes the result
  // shorter.
  const bytes = Buffer.from(text, "base64");
  return bytes.length === Math.floor((digits * 3) / 4) && isAscii(text) ? bytes : undefined;
}

function isOneAlphabet(text: string): boolean {
  return !((text.includes("-") || text.includes("_")) && (text.includes("+") || text.includes("/")));
}

/** Buffer takes the lowest byte of other characters. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
