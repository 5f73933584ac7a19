/** Names and values of header or trailer fields: name, value, name, value; names in lower case. */
export type FieldPairs = readonly string[];

/** What an answer tells beside its messages. */
export interface Metadata {
  readonly header: FieldPairs;
  /** Behind the messages: where a protocol has no trailers it has another place for them. */
  readonly trailer: FieldPairs;
}
