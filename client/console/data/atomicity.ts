import { Atomicity } from "../../../gen/prism/admin/v1/admin_pb.ts";

/** How far a store keeps a write of several keys whole, in words. */
export function atomicityInWords(atomicity: Atomicity): string {
  switch (atomicity) {
    case Atomicity.NAMESPACE:
      return "anywhere in a namespace";
    case Atomicity.SHARD:
      return "within a shard: keys with the same {tag}";
    case Atomicity.KEY:
      return "each key alone";
    default:
      return "not known while the store is not open";
  }
}
