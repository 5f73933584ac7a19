import type { Call, Interfaces } from "../contract.ts";
import { type AnyItemsRow, buildInterfaces, type Interface, type ItemsMethod } from "../operations.ts";

/** Each call of the contract has this shape, so one wrapper fits all. */
export type Method<A, R> = (namespace: string, argument: A, call: Call) => Promise<R>;

/** Makes a method of one. */
export type Wrap = <A, R>(method: Method<A, R>, name: string) => Method<A, R>;

/** A method whose items and answers only its caller knows. */
export type AnyItemsMethod = ItemsMethod<unknown, unknown>;

/** The interfaces that a store has, with `wrap` around each of their methods. It is called here, and not with each call. */
export function wrapMethods(backend: Interfaces, wrap: Wrap): Interfaces {
  return buildInterfaces((of, method) => {
    const inner = methodOf(backend, of, method);
    return inner && wrap(inner, method);
  });
}

/**
 * The interfaces that are about single keys and that all of some stores have, each method made of what the stores have in its place.
 * `combine` is called here, and not with each call.
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

type AnyMethod = Method<never, unknown>;

function methodOf(backend: Interfaces, of: Interface, method: string): AnyMethod | undefined {
  const store = backend[of];
  if (store === undefined) {
    return undefined;
  }
  const inner: unknown = Reflect.get(store, method);
  if (typeof inner !== "function") {
    throw new Error(`the store's ${of} have no ${method}`);
  }
  return inner.bind(store);
}
