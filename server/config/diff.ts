import { isDeepStrictEqual } from "node:util";
import type { StoreConfig } from "../backend/room.ts";
import { ROOMS } from "../backend/rooms.ts";
import { quote, shorten } from "./check.ts";
import { MAX_RENDERED, renderPath } from "./problem.ts";
import { redacted } from "./redacted.ts";
import { DATABASE } from "./schema.ts";

/**
 * The settings that a running gateway takes, each with all under it. Every other one needs a
 * restart. Who takes them is in `app.ts`.
 */
const LIVE_SETTINGS: readonly string[] = [
  "auth.api_keys",
  "auth.certificates",
  "auth.jwt",
  "auth.roles",
  "database",
  "backends",
  "namespaces",
  "logging.level",
  "server.reload",
  "server.shutdown_grace_ms",
  "server.tls.cert",
  "server.tls.key",
];

/** A setting that differs. There are no secrets in it. */
export interface Change {
  /** Its place. An item of a list is named by its `name`: `["namespaces", "orders", "backend"]`. */
  readonly path: readonly string[];
  /** Its value before; `undefined` = it was not there. */
  readonly from: unknown;
  /** Its value after; `undefined` = it is not there any more. */
  readonly to: unknown;
  /** True: a running gateway goes on with the value before. */
  readonly needsRestart: boolean;
}

/**
 * What differs between two `Config.settings`, or between two of them redacted, in the order of the
 * file. Namespaces that were made at run time are none of it.
 */
export function diff(from: unknown, to: unknown): readonly Change[] {
  return [...differences(from, to, [])].map((path) => {
    const name = path.at(-2) === "headers" ? "credential" : (path.at(-1) ?? "");
    return {
      path,
      from: redacted(at(from, path), name),
      to: redacted(at(to, path), name),
      needsRestart: !isLive(path) || isOpenStore(path, from, to),
    };
  });
}

/** `to` as a running gateway takes it: what needs a restart is as in `from`. */
export function untilRestart<T extends object>(from: T, to: T, changes: readonly Change[]): T {
  return changes
    .filter(({ needsRestart }) => needsRestart)
    .reduce<T>((whole, { path }) => Object(withOld(whole, from, path)), to);
}

/** `limits.max_value_bytes: 4194304 -> 1048576; needs a restart`. */
export function renderChange({ path, from, to, needsRestart }: Change): string {
  return `${renderPath(path)}: ${describe(from, to)}${needsRestart ? "; needs a restart" : ""}`;
}

/** A line for each change, at most {@link MAX_RENDERED}; the rest is counted. */
export function renderChanges(changes: readonly Change[]): readonly string[] {
  const lines = changes.slice(0, MAX_RENDERED).map(renderChange);
  return changes.length > MAX_RENDERED ? [...lines, `... and ${changes.length - MAX_RENDERED} more`] : lines;
}

function describe(from: unknown, to: unknown): string {
  if (to === undefined) {
    return "removed";
  }
  if (from === undefined) {
    return isMapping(to) ? "added" : `added: ${shown(to)}`;
  }
  const [before, after] = [shown(from), shown(to)];
  return before === after ? "changed; its value is not shown" : `${before} -> ${after}`;
}

function shown(value: unknown): string {
  return typeof value === "string" ? quote(value) : shorten(JSON.stringify(value));
}

/** The paths of all settings that differ. */
function* differences(from: unknown, to: unknown, path: readonly string[]): Generator<readonly string[]> {
  const [before, after] = [itemsOf(from), itemsOf(to)];
  if (before === undefined || after === undefined) {
    if (from !== to && !isDeepStrictEqual(plain(from), plain(to))) {
      yield path;
    }
    return;
  }
  for (const key of new Set([...after.keys(), ...before.keys()])) {
    yield* differences(before.get(key), after.get(key), [...path, key]);
  }
}

/** As it comes out of JSON: what is undefined is not there. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** The parts of a mapping, or of a list whose items have names. `undefined` = it has no parts. */
function itemsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  if (Array.isArray(value)) {
    const items = value.map((item): [unknown, unknown] => [Object(item).name, item]);
    return items.every((item): item is [string, unknown] => typeof item[0] === "string")
      ? new Map(items.filter(([, item]) => Object(item).made === undefined))
      : undefined;
  }
  return isMapping(value) ? new Map(Object.entries(value)) : undefined;
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => itemsOf(inner)?.get(key), value);
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isLive(path: readonly string[]): boolean {
  const name = path.join(".");
  return LIVE_SETTINGS.some((live) => name === live || name.startsWith(`${live}.`));
}

/**
 * Whether the setting is an option of a store that stays in the same place, and only one store can
 * be there. The one with the new option could not be opened before the old one is closed.
 */
function isOpenStore([section, name = ""]: readonly string[], from: unknown, to: unknown): boolean {
  if (section !== DATABASE && section !== "backends") {
    return false;
  }
  const path = section === DATABASE ? [DATABASE] : ["backends", name];
  const stores = [at(from, path), at(to, path)].flatMap((config) => (isStore(config) ? [config] : []));
  const [before, after] = stores;
  const room = ROOMS.find(({ type }) => type === after?.type);
  return (
    after !== undefined &&
    before?.type === after.type &&
    (room?.findClashes?.(stores.map((config) => ({ name: renderPath(path), config }))) ?? []).length > 0
  );
}

function isStore(value: unknown): value is StoreConfig {
  return isMapping(value) && typeof value.type === "string";
}

/** `to` with the value of `from` at the path. A list is taken as a whole. */
function withOld(to: unknown, from: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key === undefined || !isMapping(to) || !isMapping(from)) {
    return from;
  }
  const { [key]: present, ...others } = to;
  const value = withOld(present, from[key], rest);
  return value === undefined ? others : { ...others, [key]: value };
}
