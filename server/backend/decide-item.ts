import { Refusal } from "./contract.ts";
import type { ItemsRead, ItemWrite } from "./records.ts";

/** What a swap gives an item that was not there. */
export const NEW_ITEM: Pick<ItemWrite, "metadata" | "ttlMs"> = { metadata: new Uint8Array(0), ttlMs: 0 };

/** Whether a swap finds what it expects; `undefined` = no item. */
export function isExpected(held: Uint8Array | undefined, expected: Uint8Array | undefined): boolean {
  return held === undefined || expected === undefined
    ? held === expected
    : Buffer.compare(held, expected) === 0;
}

/** The refusal of a read that would answer too much. */
export function itemsTooLarge({ maxBytes }: ItemsRead): Refusal {
  return new Refusal("value_too_large", `the items have more than ${maxBytes} bytes: read fewer, or scan`);
}
