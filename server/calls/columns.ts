import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { Values } from "../backend/values.ts";

/** The values of one field, one for each message of a batch. */
type Column<T> = readonly Exclude<T, undefined>[] | (Uint8Array extends T ? Values : never);

/** The fields that a batch has. The others are zero in all its messages. */
export type ColumnFields<T> = {
  readonly [K in keyof T as K extends `$${string}` ? never : K]?: Column<T[K]>;
};

/** A column of any field. */
export type AnyColumn = readonly unknown[] | Values;

/**
 * A batch of messages stored field by field: the direct path's encoder needs no object for a
 * message. Iterating makes the objects.
 */
export class Columns<T> implements Iterable<T> {
  readonly length: number;
  readonly fields: Readonly<Record<string, AnyColumn>>;
  readonly last: Partial<T> | undefined;

  /**
   * Each column has `length` values. `last`: fields that only the last message has, with higher
   * numbers than the columns' fields.
   */
  constructor(length: number, fields: ColumnFields<T>, last?: NoInfer<Partial<T>>) {
    this.length = length;
    this.fields = fields as Record<string, AnyColumn>;
    this.last = last;
  }

  *[Symbol.iterator](): Generator<T> {
    const columns = Object.entries(this.fields).map(
      ([name, column]) => [name, column[Symbol.iterator]()] as const,
    );
    for (let i = 0; i < this.length; i++) {
      const row = Object.fromEntries(columns.map(([name, values]) => [name, values.next().value])) as T;
      yield i === this.length - 1 ? { ...row, ...this.last } : row;
    }
  }
}

/** Responses of a stream that are ready together. */
export type Batch<O extends DescMessage> = readonly MessageInitShape<O>[] | Columns<MessageInitShape<O>>;

/** A batch of any type. */
export type AnyBatch = readonly object[] | Columns<object>;
