import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import {
  type CheckSchema,
  KeyValueTransactionInterface,
  type MutationSchema,
} from "../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "./call.ts";
import { fromInt64, toBytes, toInt64, toSignedInt64, toText, type Value } from "./convert.ts";
import { type Expectation, toExpectation } from "./entry.ts";
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

const COMMIT = { method: KeyValueTransactionInterface.method.commit, options: CALL_OPTIONS };

/**
 * Checks and changes of several keys of a namespace: up to 100 checks and 1,000 changes. `commit`
 * makes all changes, in their order, if every check holds; otherwise none. A store that cannot do
 * that over these keys refuses with reason `not_atomic`. Nothing is sent before `commit`.
 */
export class Transaction {
  readonly #invoker: Invoker;
  readonly #client: Client<typeof KeyValueTransactionInterface>;
  readonly #checks: Check[] = [];
  readonly #mutations: Mutation[] = [];

  /** {@link KeyValueApi.transaction} makes them. */
  constructor(invoker: Invoker, client: Client<typeof KeyValueTransactionInterface>) {
    this.#invoker = invoker;
    this.#client = client;
  }

  /** The entry must be as expected; `{ present: true }` = there must be one. */
  check(key: string, expected: Expectation | { readonly present: true }): this {
    const isPresence = typeof expected === "object" && expected !== null && "present" in expected;
    const kind: CheckKind = isPresence ? { case: "present", value: {} } : toExpectation(expected);
    this.#checks.push({ key: toText("key", key), kind });
    return this;
  }

  /** Writes an entry. */
  set(key: string, value: Value, options: Pick<SetOptions, "ttlSeconds"> = {}): this {
    return this.#add(key, { case: "set", value: { value: toBytes(value), ...toTtl(options) } });
  }

  /** Writes an entry and keeps its time to live. */
  replace(key: string, value: Value): this {
    return this.#add(key, { case: "replace", value: { value: toBytes(value) } });
  }

  /** Deletes an entry. An absent one is no error. */
  delete(key: string): this {
    return this.#add(key, { case: "delete", value: {} });
  }

  /** Adds to a counter: see {@link KeyValueApi.increment}. */
  add(
    key: string,
    delta: number | bigint,
    options: Pick<IncrementOptions, "initial" | "ttlSeconds"> = {},
  ): this {
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
      (namespace, call) =>
        this.#client.commit({ namespace, checks: this.#checks, mutations: this.#mutations }, call),
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
