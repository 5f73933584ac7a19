/**
 * Bits of the Huffman code of each byte (RFC 7541 appendix B). The code is canonical, so the
 * lengths define it.
 */
// biome-ignore format: a table
const CODE_BITS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/** The end-of-string symbol: 30 ones. It must not be sent (section 5.2). */
const EOS = 256;
const EOS_BITS = 30;

/**
 * A step of the decoder: low byte = next state; then flags; high byte = the symbol, where one is
 * complete.
 */
const EMITS = 0x100;
const FAILS = 0x200;
const SYMBOL_SHIFT = 16;

const codes = buildCodes();
const { steps, accepts } = buildDecoder();

/**
 * Codes of equal length count upwards in the order of their bytes, and shorter codes come first.
 */
function buildCodes(): Uint32Array {
  const codes = new Uint32Array(257);
  const symbols = [...CODE_BITS.keys()].sort((a, b) => bitsOf(a) - bitsOf(b) || a - b);
  let code = 0;
  let bits = 0;
  for (const symbol of symbols) {
    code <<= bitsOf(symbol) - bits;
    bits = bitsOf(symbol);
    codes[symbol] = code++;
  }
  codes[EOS] = 2 ** EOS_BITS - 1;
  return codes;
}

function bitsOf(symbol: number): number {
  return CODE_BITS[symbol] ?? EOS_BITS;
}

/**
 * The code's tree as a machine that eats four bits at a time. Its 256 states are the tree's inner
 * nodes; no code is shorter than five bits, so a step completes at most one symbol.
 */
function buildDecoder(): { steps: Uint32Array; accepts: Uint8Array } {
  // Two children per node; a negative child is the leaf of symbol -child - 1; 0 = not made yet (the
  // root is no child).
  const children: [number, number][] = [[0, 0]];
  const node = (index: number) => children[index] ?? [0, 0];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let at = 0;
    for (let bit = bitsOf(symbol) - 1; bit >= 0; bit--) {
      const side = ((codes[symbol] ?? 0) >>> bit) & 1;
      if (bit === 0) {
        node(at)[side] = -symbol - 1;
      } else if (node(at)[side] === 0) {
        node(at)[side] = children.push([0, 0]) - 1;
      }
      at = node(at)[side] ?? 0;
    }
  }
  const steps = new Uint32Array(256 * 16);
  for (let state = 0; state < 256; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let at = state;
      let step = 0;
      for (let bit = 3; bit >= 0; bit--) {
        at = node(at)[(nibble >>> bit) & 1] ?? 0;
        if (at < 0) {
          const symbol = -at - 1;
          step = symbol === EOS ? FAILS : EMITS | (symbol << SYMBOL_SHIFT);
          at = 0;
        }
      }
      steps[state * 16 + nibble] = step | at;
    }
  }
  // A string may end within a code that is at most seven ones so far: its padding (section 5.2).
  const accepts = new Uint8Array(256);
  for (let depth = 0, at = 0; depth < 8; depth++) {
    accepts[at] = 1;
    at = node(at)[1] ?? 0;
  }
  return { steps, accepts };
}

let scratch = Buffer.allocUnsafeSlow(4096);

/**
 * Decodes bytes `start` to `end` into a string of one char per byte; undefined where they are no
 * valid code.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string | undefined {
  // The shortest code has five bits.
  if (scratch.length < (end - start) * 1.6 + 1) {
    scratch = Buffer.allocUnsafeSlow(Math.ceil((end - start) * 2));
  }
  const out = scratch;
  let length = 0;
  let state = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] ?? 0;
    const high = steps[state * 16 + (byte >>> 4)] ?? FAILS;
    if (high & EMITS) {
      out[length++] = high >>> SYMBOL_SHIFT;
    }
    const low = steps[(high & 0xff) * 16 + (byte & 15)] ?? FAILS;
    if (low & EMITS) {
      out[length++] = low >>> SYMBOL_SHIFT;
    }
    if ((high | low) & FAILS) {
      return undefined;
    }
    state = low & 0xff;
  }
  return accepts[state] ? out.toString("latin1", 0, length) : undefined;
}

/** Bytes that `encodeHuffman` takes for a string of one char per byte. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    bits += bitsOf(text.charCodeAt(i) & 0xff);
  }
  return (bits + 7) >>> 3;
}

/**
 * Writes the code of `text` (one char per byte) at `at`, padded with ones; returns where it ends.
 */
export function encodeHuffman(text: string, bytes: Uint8Array, at: number): number {
  let held = 0;
  let heldBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    const code = codes[symbol] ?? 0;
    // At most 7 bits are held and a code has up to 30, so it goes in by pieces.
    for (let left = bitsOf(symbol); left > 0; ) {
      const take = Math.min(left, 8 - heldBits);
      left -= take;
      held = (held << take) | ((code >>> left) & ((1 << take) - 1));
      heldBits += take;
      if (heldBits === 8) {
        bytes[at++] = held;
        held = 0;
        heldBits = 0;
      }
    }
  }
  if (heldBits > 0) {
    bytes[at++] = (held << (8 - heldBits)) | (0xff >>> heldBits);
  }
  return at;
}
