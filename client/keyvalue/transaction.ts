import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CheckSchema,
  KeyValueTransactionInterface,
  type MutationSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker, requireKnown } from "../call.ts";
import { fromInt64, toBytes, toInt64, toKeys, toSignedInt64, toText, type Value } from "../convert.ts";
import { type Entry, type Expectation, fromEntry, toExpectation } from "./entry.ts";
import { type IncrementOptions, type SetOptions, toInitial, toTtl } from "./write-options.ts";

/** What became of a transaction. */
export type TransactionOutcome =
  | {
      readonly committed: true;
      /** The version of every entry that it wrote; 0 = it wrote none. */
      readonly version: number;
      /** The counter after each `add`, in order. */
      readonly counters: readonly bigint[];
    }
  | {
      readonly committed: false;
      /** The index of each check that did not hold, in the order of the `check` calls. */
      readonly failedChecks: readonly number[];
    };

type Check = MessageInitShape<typeof CheckSchema>;
type Mutation = MessageInitShape<typeof MutationSchema>;
type CheckKind = NonNullable<Check["kind"]>;
type MutationKind = NonNullable<Mutation["kind"]>;

/** What a transaction's `set` can be given besides the value. */
type TransactionSetOptions = Pick<SetOptions, "ttlSeconds">;
/** What a transaction's `add` can be given besides the number. */
type TransactionAddOptions = Pick<IncrementOptions, "initial" | "ttlSeconds">;

const TRANSACTION_SET_OPTIONS = { ttlSeconds: true } satisfies Record<keyof TransactionSetOptions, true>;
const TRANSACTION_ADD_OPTIONS = { initial: true, ...TRANSACTION_SET_OPTIONS } satisfies Record<
  keyof TransactionAddOptions,
  true
>;

const { method } = KeyValueTransactionInterface;

const READ = { method: method.read, options: CALL_OPTIONS };
const COMMIT = { method: method.commit, options: CALL_OPTIONS };

/** The calls of KeyValueTransactionInterface. */
export function transactionCalls(invoker: Invoker) {
  return {
    /**
     * Entries with version and time to live, 1 to 1,000 keys, all as they were at one moment;
     * `undefined` = the key is absent or has expired. Throws reason `not_atomic` if the store
     * cannot read these keys at one moment.
     */
    async getEntries(
      keys: Iterable<string> & object,
      options: CallOptions = {},
    ): Promise<(Entry | undefined)[]> {
      const { results } = await invoker.unary(READ, options, (namespace) => ({
        namespace,
        keys: toKeys(keys),
      }));
      return results.map((result) => result.entry && fromEntry(result.entry));
    },

    /**
     * Changes of several keys that take effect together or not at all.
     *
     * ```ts
     * const outcome = await client.keyvalue
     *   .transaction()
     *   .check("from", { version: from.version })
     *   .set("from", "70")
     *   .set("to", "130")
     *   .commit();
     * if (!outcome.committed) { ... outcome.failedChecks ... }
     * ```
     */
    transaction: (): Transaction => new Transaction(invoker),
  };
}

/**
 * Checks and changes of several keys of a namespace: up to 100 checks and 1,000 changes. `commit`
 * makes all changes, in their order, if every check holds; otherwise none. A store that cannot do
 * that over these keys refuses with reason `not_atomic`. Nothing is sent before `commit`, but a
 * wrong argument throws `invalid_field` at once.
 */
export class Transaction {
  readonly #invoker: Invoker;
  readonly #checks: Check[] = [];
  readonly #mutations: Mutation[] = [];

  /** `client.keyvalue.transaction()` makes them. */
  constructor(invoker: Invoker) {
    this.#invoker = invoker;
  }

  /** The entry must be as expected; `{ present: true }` = there must be one. */
  check(key: string, expected: Expectation | { readonly present: true }): this {
    const kind: CheckKind = isPresence(expected) ? { case: "present", value: {} } : toExpectation(expected);
    this.#checks.push({ key: toText("key", key), kind });
    return this;
  }

  /** Writes an entry. */
  set(key: string, value: Value, options: TransactionSetOptions = {}): this {
    requireKnown(TRANSACTION_SET_OPTIONS, options);
    return this.#add(key, { case: "set", value: { value: toBytes("value", value), ...toTtl(options) } });
  }

  /** Writes an entry and keeps its time to live. */
  replace(key: string, value: Value): this {
    return this.#add(key, { case: "replace", value: { value: toBytes("value", value) } });
  }

  /** Deletes an entry. An absent one is no error. */
  delete(key: string): this {
    return this.#add(key, { case: "delete", value: {} });
  }

  /** Adds to a counter, as `client.keyvalue.increment`. */
  add(key: string, delta: number | bigint, options: TransactionAddOptions = {}): this {
    requireKnown(TRANSACTION_ADD_OPTIONS, options);
    const value = { delta: toSignedInt64("delta", delta), ...toInitial(options), ...toTtl(options) };
    return this.#add(key, { case: "add", value });
  }

  /** Makes an entry expire after whole seconds, 1 or more. An absent one is no error. */
  expire(key: string, ttlSeconds: number): this {
    return this.#add(key, { case: "expire", value: { ttlSeconds: toInt64("ttlSeconds", ttlSeconds) } });
  }

  /** Makes an entry never expire. An absent one is no error. */
  persist(key: string): this {
    return this.#add(key, { case: "persist", value: {} });
  }

  /**
   * Sends the transaction. If the call fails with a lost connection, it may have been made: read
   * the entries before the next try.
   */
  async commit(options: CallOptions = {}): Promise<TransactionOutcome> {
    const { committed, version, results, failedChecks } = await this.#invoker.unary(
      COMMIT,
      options,
      (namespace) => ({ namespace, checks: this.#checks, mutations: this.#mutations }),
    );
    if (!committed) {
      return { committed, failedChecks: failedChecks.map(({ index }) => index) };
    }
    const counters = results.flatMap(({ counter }) => (counter === undefined ? [] : [counter]));
    return { committed, version: fromInt64("version", version), counters };
  }

  #add(key: string, kind: MutationKind): this {
    this.#mutations.push({ key: toText("key", key), kind });
    return this;
  }
}

function isPresence(expected: unknown): boolean {
  const given = typeof expected === "object" && expected !== null ? Object.entries(expected) : [];
  return given.length === 1 && given[0]?.[0] === "present" && given[0][1] === true;
}
