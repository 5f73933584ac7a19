import type { AddressInfo } from "node:net";

/** The entries that every peer serves, in a Map. */
export const VALUES = new Map<string, Uint8Array>([
  ["small", Buffer.alloc(100, "v")],
  ["large", Buffer.alloc(10_000, "v")],
]);

/** The entries of a scan, 100 bytes each; SCAN_ENTRIES of the environment is their number. */
export function* scanEntries(): Generator<{ key: string; value: Uint8Array }> {
  const value = Buffer.alloc(100, "v");
  for (let i = 0; i < Number(process.env.SCAN_ENTRIES ?? 0); i++) {
    yield { key: `key:${String(i).padStart(9, "0")}`, value };
  }
}

/** Prints that this process is ready, and where, for the process that started it. */
export function listening(address: string | AddressInfo | null): void {
  if (typeof address !== "object" || address === null) {
    throw new TypeError("not a TCP address");
  }
  console.log(`ready ${address.port}`);
}
