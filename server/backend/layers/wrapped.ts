import type { Backend, Call, EntryStore, ListStore, ScanStore } from "../contract.ts";

/** Each call of the contract has this shape, so one wrapper fits all. */
export type Method<A, R> = (namespace: string, argument: A, call: Call) => Promise<R>;

/** Makes a method of one. */
export type Wrap = <A, R>(method: Method<A, R>) => Method<A, R>;

/** The interfaces that a store has, with `wrap` around each of their methods. */
export function wrapMethods(
  { entries, scans, lists }: Backend,
  wrap: Wrap,
): Pick<Backend, "entries" | "scans" | "lists"> {
  return {
    ...(entries && { entries: wrapEntries(entries, wrap) }),
    ...(scans && { scans: wrapScans(scans, wrap) }),
    ...(lists && { lists: wrapLists(lists, wrap) }),
  };
}

function wrapEntries(entries: EntryStore, wrap: Wrap): EntryStore {
  return {
    get: wrap(entries.get.bind(entries)),
    exists: wrap(entries.exists.bind(entries)),
    set: wrap(entries.set.bind(entries)),
    delete: wrap(entries.delete.bind(entries)),
  };
}

function wrapScans(scans: ScanStore, wrap: Wrap): ScanStore {
  return {
    scanPage: wrap(scans.scanPage.bind(scans)),
    count: wrap(scans.count.bind(scans)),
  };
}

function wrapLists(lists: ListStore, wrap: Wrap): ListStore {
  return {
    push: wrap(lists.push.bind(lists)),
    pop: wrap(lists.pop.bind(lists)),
    length: wrap(lists.length.bind(lists)),
  };
}
