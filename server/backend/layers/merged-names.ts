import type { Call, NamePage, NameQuery } from "../contract.ts";
import { compareUtf8 } from "../utf8.ts";

/** A method that reads pages of names. */
type PageNames = (namespace: string, query: NameQuery, call: Call) => Promise<NamePage>;

/**
 * Each store is asked for this many times its even share of a page, so that pages are nearly full.
 */
const SLACK = 1.25;

/** Merges the pages of several stores into one, in order. No two stores have the same name. */
export function mergeNames(stores: readonly PageNames[]): PageNames {
  return async (namespace, query, call) => {
    const { maxNames } = query;
    const share = { ...query, maxNames: Math.min(maxNames, Math.ceil((maxNames / stores.length) * SLACK)) };
    const pages = await Promise.all(stores.map((read) => read(namespace, share, call)));
    const ends = pages.flatMap(({ next }) => next ?? []).sort(compareUtf8);
    // What is behind the first page that ends here is not known of every store.
    const [end] = ends;
    const known = pages
      .flatMap(({ names }) => names)
      .filter((name) => end === undefined || compareUtf8(name, end) <= 0)
      .sort(compareUtf8);
    const names = known.slice(0, maxNames);
    return { names, next: names.length < known.length ? names.at(-1) : end };
  };
}
