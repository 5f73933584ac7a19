import type { AddressInfo } from "node:net";

/** What every peer serves: the entries that the load asks for, in a Map. */
export const VALUES = new Map<string, Uint8Array>([
  ["small", Buffer.alloc(100, "v")],
  ["large", Buffer.alloc(10_000, "v")],
]);

/** Entries of a scan: as many as `SCAN_ENTRIES` of the environment says, each of 100 bytes. */
export function* scanEntries(): Generator<{ key: string; value: Uint8Array }> {
  const value = Buffer.alloc(100, "v");
  for (let i = 0; i < Number(process.env.SCAN_ENTRIES ?? 0); i++) {
    yield { key: `key:${String(i).padStart(9, "0")}`, value };
  }
}

/** Tells whoever started this process that it is ready, and where. */
export function listening(address: string | AddressInfo | null): void {
  if (typeof address !== "object" || address === null) {
    throw new TypeError("not a TCP address");
  }
  console.log(`ready ${address.port}`);
}
