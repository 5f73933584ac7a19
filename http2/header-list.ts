import { type Field, FieldKind } from "./header-field.ts";

/**
 * A received header list, or trailers. Immutable once it is handed out: requests with the same
 * header block share one. Pseudo-header fields that were not sent are "" here.
 */
export class HeaderList {
  /**
   * Ordinary fields in the order of the wire: name, value, name, value; names in lower case, one
   * char per byte.
   */
  readonly fields: string[] = [];
  method = "";
  path = "";
  scheme = "";
  /** `:authority` of a request, else its `host`. */
  authority = "";
  /** Three digits of a response; 0 in a request and in trailers. */
  status = 0;
  /** -1 = not said. */
  contentLength = -1;
  /** Breaks a rule of RFC 9113 section 8: its stream is reset. */
  malformed = false;
  /** Larger than the limit; the fields are incomplete. */
  tooLarge = false;
  /** Any pseudo-header field is in it, which trailers must not have. */
  hasPseudo = false;
  /**
   * The client waits for a 100 before it sends its body (RFC 9110 section 10.1.1). Other
   * expectations are ignored.
   */
  expectsContinue = false;
  #bytes = 0;

  /**
   * The value of an ordinary field; several are joined with ", " (RFC 9110 section 5.3), cookies
   * with "; " (RFC 9113 section 8.2.3); undefined = not sent.
   */
  get(name: string): string | undefined {
    const { fields } = this;
    let found: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) {
        found =
          found === undefined ? fields[i + 1] : `${found}${name === "cookie" ? ";" : ","} ${fields[i + 1]}`;
      }
    }
    return found;
  }

  /** For the decoder. Above `maxBytes` fields are dropped, and the list is `tooLarge`. */
  add(field: Field, maxBytes: number): void {
    this.#bytes += field.bytes;
    if (this.#bytes > maxBytes) {
      this.tooLarge = true;
      return;
    }
    const { kind, value } = field;
    if (kind === FieldKind.ORDINARY) {
      this.fields.push(field.name, value);
      if (field.name === "host" && this.authority === "") {
        this.authority = value;
      } else if (field.name === "expect") {
        this.expectsContinue = value.toLowerCase() === "100-continue";
      }
    } else if (kind === FieldKind.MALFORMED) {
      this.malformed = true;
    } else if (kind === FieldKind.CONTENT_LENGTH) {
      this.#addContentLength(field);
    } else {
      this.#addPseudo(kind, value);
    }
  }

  /**
   * Whether the list can start a request (RFC 9113 section 8.3.1). CONNECT cannot: the engine makes
   * no tunnels.
   */
  isRequest(): boolean {
    return (
      !this.malformed && this.method !== "" && this.path !== "" && this.scheme !== "" && this.status === 0
    );
  }

  /** Whether the list can start a response (RFC 9113 section 8.3.2). */
  isResponse(): boolean {
    return !this.malformed && this.status !== 0 && this.method === "" && this.path === "";
  }

  #addContentLength({ name, value }: Field): void {
    const length = Number(value);
    // A repeated one must say the same (RFC 9110 section 8.6).
    this.malformed ||= this.contentLength !== -1 && this.contentLength !== length;
    this.contentLength = length;
    this.fields.push(name, value);
  }

  /** RFC 9113 section 8.3: before every ordinary field, and each at most once. */
  #addPseudo(kind: FieldKind, value: string): void {
    const had = this.#set(kind, value);
    this.malformed ||= had || this.fields.length > 0;
    this.hasPseudo = true;
  }

  #set(kind: FieldKind, value: string): boolean {
    let had = false;
    switch (kind) {
      case FieldKind.METHOD:
        had = this.method !== "";
        this.method = value;
        break;
      case FieldKind.PATH:
        had = this.path !== "";
        this.path = value;
        break;
      case FieldKind.SCHEME:
        had = this.scheme !== "";
        this.scheme = value;
        break;
      case FieldKind.AUTHORITY:
        had = this.authority !== "";
        this.authority = value;
        break;
      case FieldKind.STATUS:
        had = this.status !== 0;
        this.status = /^[1-9]\d\d$/.test(value) ? Number(value) : 0;
        break;
    }
    return had;
  }
}
