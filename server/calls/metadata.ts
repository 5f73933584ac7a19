/** Header or trailer fields: name, value, name, value. Names are in lower case. */
export type FieldPairs = readonly string[];

/** What an answer carries besides its messages. */
export interface Metadata {
  readonly header: FieldPairs;
  /** Sent after the messages. A protocol without trailers has another place for them. */
  readonly trailer: FieldPairs;
}
