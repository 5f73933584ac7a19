import { type Answers, type Call, type Interfaces, isRefusal, type ListStore } from "../contract.ts";
import { placesOf, restOf } from "../list-range.ts";
import type { ListEnd, ListInsertAnswer, ListPage, ListPutAnswer, ListSlice } from "../lists.ts";
import { ArrayValues } from "../values.ts";
import type { Connection } from "./connection.ts";
import type { ShardKeys } from "./keys.ts";
import { readMany } from "./read-many.ts";
import { modeOf, orRefused } from "./refused.ts";
import { asAnswers, asArray, asNumber, asValue } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** The lists of a shard, which are Redis' own. */
export function createLists(
  connection: Connection,
  keys: ShardKeys,
): Pick<Interfaces, "lists" | "listRanges" | "listIndexes" | "listMoves"> {
  const nameOf: NameOf = (namespace, key) => `${keys.listPrefix}${namespace}:${key}`;
  const edits = createEdits(connection, nameOf, keys);
  const { slice, at } = createReads(connection, nameOf);
  return {
    lists: createEnds(connection, nameOf, keys),
    listRanges: {
      slice,
      trim: (namespace, ranges, call) =>
        edits("LTRIM", namespace, ranges, call, ({ start, stop }) => [start, stop], asNumber),
    },
    listIndexes: {
      at,
      put: (namespace, puts, call) =>
        edits("LSET", namespace, puts, call, ({ index, value }) => [index, Buffer.from(value)], asPut),
      insert: (namespace, inserts, call) =>
        edits(
          "LINSERT",
          namespace,
          inserts,
          call,
          ({ side, pivot, value }) => [PLACE[side], Buffer.from(pivot), Buffer.from(value)],
          asInsert,
        ),
      remove: (namespace, removes, call) =>
        edits("LREM", namespace, removes, call, ({ count, value }) => [count, Buffer.from(value)], asNumber),
    },
    listMoves: {
      move: (namespace, moves, call) =>
        edits("LMOVE", namespace, moves, call, ({ end, toEnd }) => [SIDE[end], SIDE[toEnd]], asValue),
    },
  };
}

/** The name of a list in Redis. */
type NameOf = (namespace: string, key: string) => string;

function createEnds(
  connection: Connection,
  nameOf: NameOf,
  { lists, listPrefix, filled }: ShardKeys,
): ListStore {
  const before = listPrefix.length;
  return {
    async push(namespace, pushes, call) {
      return await orRefused(pushes, async () => {
        const reply = await connection.runScript(
          "once",
          SCRIPTS.push,
          [...pushes.map(({ key }) => nameOf(namespace, key)), lists],
          [
            ...pushes.flatMap(({ end, value }) => [PUSH[end], Buffer.from(value)]),
            before,
            filled,
            modeOf(call),
          ],
        );
        return asAnswers(reply, asNumber);
      });
    },
    async pop(namespace, pops, call) {
      return await orRefused(pops, async () => {
        const reply = await connection.runScript(
          "once",
          SCRIPTS.pop,
          [...pops.map(({ key }) => nameOf(namespace, key)), lists],
          [...pops.map(({ end }) => POP[end]), before, modeOf(call)],
        );
        return asAnswers(reply, asValue);
      });
    },
    async length(namespace, keys) {
      const names = keys.map((key) => nameOf(namespace, key));
      return await readMany(names, async (some) =>
        asAnswers(await connection.runScript("repeatable", SCRIPTS.length, some, []), asNumber),
      );
    },
  };
}

/** An item of a script that changes lists. */
interface Edited {
  readonly key: string;
  /** A second list. */
  readonly to?: string;
}

function createEdits(connection: Connection, nameOf: NameOf, { lists, listPrefix, filled }: ShardKeys) {
  return async <Item extends Edited, Answer>(
    command: "LTRIM" | "LSET" | "LINSERT" | "LREM" | "LMOVE",
    namespace: string,
    items: readonly Item[],
    call: Call,
    argsOf: (item: Item) => readonly (string | number | Buffer)[],
    as: (reply: unknown) => Answer,
  ): Promise<Answers<Answer>> =>
    await orRefused(items, async () => {
      const names = items.flatMap(({ key, to }) =>
        to === undefined ? [nameOf(namespace, key)] : [nameOf(namespace, key), nameOf(namespace, to)],
      );
      const { length } = listPrefix;
      const args = [modeOf(call), command, items.length, filled, length, ...items.flatMap(argsOf)];
      return asAnswers(await connection.runScript("once", SCRIPTS.edit, [lists, ...names], args), as);
    });
}

function createReads(connection: Connection, nameOf: NameOf) {
  const slice = async (namespace: string, slices: readonly ListSlice[]): Promise<Answers<ListPage>> =>
    await readMany(slices, async (some) => {
      const reply = await connection.runScript(
        "repeatable",
        SCRIPTS.slice,
        some.map(({ key }) => nameOf(namespace, key)),
        some.flatMap(({ start, stop, maxEntries, maxBytes }) => [start, stop, maxEntries, maxBytes]),
      );
      return asAnswers(reply, (page, i) => asPage(page, some[i]));
    });
  return {
    slice,
    at: async (namespace: string, places: readonly { readonly key: string; readonly index: number }[]) => {
      const slices = places.map(({ key, index }) => ({
        key,
        start: index,
        stop: index,
        maxEntries: 1,
        maxBytes: 1,
      }));
      const pages = await slice(namespace, slices);
      return pages.map((page) => (isRefusal(page) ? page : [...page.values][0]));
    },
  };
}

const PUSH: Readonly<Record<ListEnd, string>> = { left: "LPUSH", right: "RPUSH" };
const POP: Readonly<Record<ListEnd, string>> = { left: "LPOP", right: "RPOP" };

const SIDE: Readonly<Record<ListEnd, string>> = { left: "LEFT", right: "RIGHT" };
const PLACE: Readonly<Record<"before" | "after", string>> = { before: "BEFORE", after: "AFTER" };

const PUT_ANSWERS: readonly ListPutAnswer[] = ["put", "absent", "outside"];

function asPut(reply: unknown): ListPutAnswer {
  const text = String(asValue(reply));
  const answer = PUT_ANSWERS.find((each) => each === text);
  if (answer === undefined) {
    throw new Error("a put was answered with something else");
  }
  return answer;
}

/** A negative length is that of a list without the new value. */
function asInsert(reply: unknown): ListInsertAnswer {
  const length = asNumber(reply);
  return { inserted: length > 0, length: Math.abs(length) };
}

/** The length of the list, and the page's values. */
function asPage(reply: unknown, slice: ListSlice | undefined): ListPage {
  const [length, ...items] = asArray(reply);
  const values = items.map((item) => asValue(item) ?? NOTHING);
  const next = slice && restOf(placesOf(slice, asNumber(length)), values.length);
  return { values: new ArrayValues(values), next };
}

const NOTHING = new Uint8Array(0);
