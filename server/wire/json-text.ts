import { PrismError } from "../errors.ts";
import { MAX_MESSAGE_DEPTH, MIN_ITEM_BYTES } from "../limits.ts";
import { aroundTooLarge, type MessageLimits } from "./message-limits.ts";

/** The characters of JSON's syntax, as codes. */
export const JsonCode = {
  QUOTE: 0x22,
  COMMA: 0x2c,
  COLON: 0x3a,
  OPEN_LIST: 0x5b,
  BACKSLASH: 0x5c,
  CLOSE_LIST: 0x5d,
  F: 0x66,
  N: 0x6e,
  T: 0x74,
  OPEN_OBJECT: 0x7b,
  CLOSE_OBJECT: 0x7d,
} as const;

const { QUOTE, OPEN_LIST, BACKSLASH, CLOSE_LIST, F, N, T, OPEN_OBJECT, CLOSE_OBJECT } = JsonCode;

/** RFC 8259, section 6. No field's number has more digits. */
const NUMBER = /-?(?:0|[1-9]\d{0,399})(?:\.\d{1,400})?(?:[eE][+-]?\d{1,9})?/y;

/** What stands in a string only escaped (section 7). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f]/;

/**
 * A JSON text, read piece by piece by a caller who knows what to expect. Everything except the
 * content of values counts against the limits before it is read, so a request costs no more than
 * its limits allow. Throws PrismError.
 */
export class JsonText {
  readonly #text: string;
  readonly #limits: MessageLimits;
  #at = 0;
  /** The place of the next backslash, as of the last place where it mattered. */
  #backslash = -1;
  /** Characters of values so far. */
  #values = 0;
  /** Items of lists and maps so far. */
  #items = 0;
  #depth = 0;

  constructor(text: string, limits: MessageLimits) {
    this.#text = text;
    this.#limits = limits;
  }

  /** The next character that is not white space, as a code; NaN = the end. */
  peek(): number {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      code = this.#text.charCodeAt(++this.#at);
      this.#weigh();
    }
    return code;
  }

  /** Skips the next character if it is this one. */
  takes(code: number): boolean {
    if (this.peek() !== code) {
      return false;
    }
    this.#at++;
    return true;
  }

  /** Skips the next character, which must be this one. */
  expect(code: number): void {
    if (!this.takes(code)) {
      throw this.#unexpected(JSON.stringify(String.fromCharCode(code)));
    }
  }

  /** Enters an object or a list. */
  enter(open: number): void {
    this.expect(open);
    this.#deeper(++this.#depth);
  }

  /** Leaves an object or a list. */
  leave(close: number): void {
    this.expect(close);
    this.#depth--;
  }

  /** Counts one item of a list or a map. */
  item(): void {
    this.#items++;
    this.#weigh();
  }

  /** The next string, unescaped. */
  string(): string {
    const literal = this.#literal(this.#limits.maxAroundBytes);
    this.#weigh();
    if (literal.charCodeAt(0) === QUOTE) {
      return this.#parse(literal) as string;
    }
    if (CONTROL.test(literal)) {
      throw this.#unexpected("no control character in the text");
    }
    return literal;
  }

  /** The next string as a value in base64, which contains no control characters. */
  value(): string {
    const literal = this.#literal(Number.POSITIVE_INFINITY);
    this.#values += literal.length;
    return literal.charCodeAt(0) === QUOTE ? (this.#parse(literal) as string) : literal;
  }

  /** The next string, number or word. */
  scalar(): string | number | boolean | null {
    switch (this.peek()) {
      case QUOTE:
        return this.string();
      case T:
        return this.#word("true", true);
      case F:
        return this.#word("false", false);
      case N:
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  /** The next value of any kind. */
  any(): unknown {
    const code = this.peek();
    if (code !== OPEN_OBJECT && code !== OPEN_LIST) {
      return this.scalar();
    }
    const start = this.#at;
    let depth = 0;
    do {
      switch (this.peek()) {
        case QUOTE:
          this.string();
          break;
        case OPEN_OBJECT:
        case OPEN_LIST:
          this.#at++;
          this.#deeper(this.#depth + ++depth);
          break;
        case CLOSE_OBJECT:
        case CLOSE_LIST:
          this.#at++;
          depth--;
          break;
        default:
          if (this.#at >= this.#text.length) {
            throw this.#unexpected('"}" or "]"');
          }
          this.#at++;
      }
      this.#weigh();
    } while (depth > 0);
    return this.#parse(this.#text.slice(start, this.#at));
  }

  /** Expects the end of the text. */
  end(): void {
    if (!Number.isNaN(this.peek())) {
      throw this.#unexpected("nothing more");
    }
  }

  /**
   * The text between the quotes of the next string. If something in it is escaped, the quotes are
   * included, and its end is searched for no further than `maxLength`.
   */
  #literal(maxLength: number): string {
    if (this.peek() !== QUOTE) {
      throw this.#unexpected("text in double quotes");
    }
    const text = this.#text;
    const start = this.#at + 1;
    let end = text.indexOf('"', start);
    if (this.#backslash < start) {
      const found = text.indexOf("\\", start);
      this.#backslash = found < 0 ? text.length : found;
    }
    const escaped = this.#backslash < end;
    if (escaped) {
      end = this.#backslash;
      for (let code: number = BACKSLASH; code !== QUOTE && end < text.length; code = text.charCodeAt(end)) {
        end += code === BACKSLASH ? 2 : 1;
        if (end - start > maxLength) {
          throw aroundTooLarge(this.#limits);
        }
      }
    }
    if (end < 0 || end >= text.length) {
      throw this.#unexpected("an end of the text that begins");
    }
    this.#at = end + 1;
    return escaped ? text.slice(start - 1, end + 1) : text.slice(start, end);
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) {
      throw this.#unexpected(word);
    }
    this.#at += word.length;
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    if (!NUMBER.test(this.#text)) {
      throw this.#unexpected("text, a number, true, false or null");
    }
    const start = this.#at;
    this.#at = NUMBER.lastIndex;
    return Number(this.#text.slice(start, this.#at));
  }

  #parse(json: string): unknown {
    try {
      return JSON.parse(json);
    } catch {
      throw this.#unexpected("what JSON allows");
    }
  }

  #weigh(): void {
    const around = this.#at - this.#values + this.#items * MIN_ITEM_BYTES;
    if (around > this.#limits.maxAroundBytes) {
      throw aroundTooLarge(this.#limits);
    }
  }

  #deeper(depth: number): void {
    if (depth > MAX_MESSAGE_DEPTH) {
      throw new PrismError("malformed_request", `the request is nested more than ${MAX_MESSAGE_DEPTH} deep`);
    }
  }

  #unexpected(expected: string): PrismError {
    return new PrismError(
      "malformed_request",
      `the request is not the JSON of its message: expected ${expected} at character ${this.#at + 1}`,
    );
  }
}
