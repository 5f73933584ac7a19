import type { Call, Interfaces } from "../contract.ts";
import {
  type AnyItemsRow,
  buildInterfaces,
  type Interface,
  type ItemsMethod,
  methodOf,
} from "../operations.ts";

/** The shape of every call of the contract, so that one wrapper fits all. */
export type StoreMethod<A, R> = (namespace: string, argument: A, call: Call) => Promise<R>;

/** Wraps one method. */
export type Wrap = <A, R>(method: StoreMethod<A, R>, name: string) => StoreMethod<A, R>;

/** A method whose item and answer types only its caller knows. */
export type AnyItemsMethod = ItemsMethod<unknown, unknown>;

/**
 * The store's interfaces with `wrap` around each method. Wraps once, here, and not on each call.
 */
export function wrapMethods(backend: Interfaces, wrap: Wrap): Interfaces {
  return buildInterfaces((of, method) => {
    const inner = methodOf(backend, of, method);
    return inner && wrap(inner, method);
  });
}

/**
 * The interfaces about single keys that all of the stores have. `combine` makes one method of
 * theirs, once, here, and not on each call.
 */
export function combineItems(
  backends: readonly Interfaces[],
  combine: (row: AnyItemsRow, methods: readonly AnyItemsMethod[], of: Interface) => AnyItemsMethod,
): Interfaces {
  return buildInterfaces((of, method, row) => {
    if (row.takes !== "items") {
      return undefined;
    }
    const methods = backends.map((backend) => methodOf(backend, of, method));
    const there = methods.filter((each) => each !== undefined);
    return there.length === methods.length ? combine(row, there as AnyItemsMethod[], of) : undefined;
  });
}
