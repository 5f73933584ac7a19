import type { NamespacePolicies } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { formatBytes, formatCount, formatDuration } from "./format.ts";

/** The limits of a namespace that are set, each with its name in words. */
export function limitsInWords(policies: NamespacePolicies): (readonly [name: string, words: string])[] {
  const count = (number: bigint) => (number === 0n ? "" : formatCount(number));
  const bytes = (number: bigint) => (number === 0n ? "" : formatBytes(Number(number)));
  const seconds = (number: bigint) => (number === 0n ? "" : formatDuration(Number(number) * 1000));
  const all: readonly (readonly [string, string])[] = [
    ["Largest value", bytes(policies.maxValueBytes)],
    ["Most entries", count(policies.maxEntries)],
    ["Calls a second", count(policies.maxRps)],
    ["Calls at once after a quiet time", count(policies.burst)],
    ["Calls at the same time", count(policies.maxConcurrentCalls)],
    ["Bytes of requests a second", bytes(policies.maxInBytesPerSecond)],
    ["Time to live where none is given", seconds(policies.defaultTtlSeconds)],
    ["Shortest time to live", seconds(policies.minTtlSeconds)],
    ["Longest time to live", seconds(policies.maxTtlSeconds)],
    ["Times to live", policies.ttlForbidden ? "no entry may have one" : ""],
  ];
  return all.filter(([, words]) => words !== "");
}
