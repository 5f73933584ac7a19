import { formatBytes, formatCount } from "./format.ts";

/** What the figures of a store are called. */
const NAMES: Readonly<Record<string, string>> = {
  connections_used: "Connections in use",
  connections_idle: "Connections that wait for work",
  connections_max: "Most connections",
  connection_waits: "Calls that wait for a connection",
  queued_calls: "Calls that wait for their turn",
  queued_bytes: "Size of those calls",
  waiting_pops: "Calls that wait for a value of a list",
  waiting_tails: "Calls that wait for events of a stream",
  breakers: "Parts that can be away by themselves",
  breakers_open: "Parts that are away",
};

/**
 * Figures of a store with their names in words, in a steady order. Those of a later gateway keep
 * their own names.
 */
export function figuresInWords(
  figures: Readonly<Record<string, bigint>>,
): (readonly [name: string, words: string])[] {
  const known = Object.keys(NAMES).filter((name) => name in figures);
  const unknown = Object.keys(figures).filter((name) => !(name in NAMES));
  return [...known, ...unknown.sort()].map((name) => [
    NAMES[name] ?? name.replaceAll("_", " "),
    wordsOf(name, figures[name] ?? 0n),
  ]);
}

function wordsOf(name: string, figure: bigint): string {
  if (name === "connections_max" && figure === 0n) {
    return "no bound";
  }
  return name.endsWith("_bytes") ? formatBytes(Number(figure)) : formatCount(figure);
}
