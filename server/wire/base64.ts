/**
 * The bytes that `text` is base64 or base64url of, with or without padding (RFC 4648, sections 4 and 5), or `undefined` where it is neither:
 * white space, other characters, both alphabets in one text, wrong padding. The bits of the last digit that stand for no byte do not matter:
 * protobuf's conformance suite has them be read.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const digits = text.length - padding;
  if (digits % 4 === 1 || (padding > 0 && text.length % 4 !== 0) || !isOneAlphabet(text)) {
    return undefined;
  }
  // Eight times as fast as Uint8Array.fromBase64. It passes over what is no digit, and there are fewer bytes then.
  const bytes = Buffer.from(text, "base64");
  return bytes.length === Math.floor((digits * 3) / 4) && isAscii(text) ? bytes : undefined;
}

function isOneAlphabet(text: string): boolean {
  return !((text.includes("-") || text.includes("_")) && (text.includes("+") || text.includes("/")));
}

/** Of other characters Buffer takes the lowest byte. */
function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
