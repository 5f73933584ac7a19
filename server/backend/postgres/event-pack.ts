import type { HeldEvent, Tags } from "../streams.ts";

/** As many events are in one value of a page, for the same reason as `PACK_ENTRIES`. */
export const PACK_EVENTS = 32;

/** SQL that packs an event of the table `event` for {@link readEventPack}. */
export const EVENT_PACK = `int8send(time_ms) || int8send(number) || int4send(octet_length(payload)) || payload
  || CASE WHEN tags IS NULL THEN int4send(0) ELSE int4send(octet_length(array_send(tags))) || array_send(tags) END`;

/** SQL for what an event of the table counts in a page; tags by their UTF-8 length. */
export const EVENT_BYTES =
  "octet_length(payload) + CASE WHEN tags IS NULL THEN 0 ELSE octet_length(array_send(tags)) - 20 - 8 * cardinality(tags) END";

/** What stands before the elements in the binary form of an array; see arrays.ts. */
const ARRAY_HEAD_BYTES = 20;

/** Events without tags share it. */
const NO_TAGS: Tags = Object.freeze({});

/** Adds the events of a pack to `events`. Their payloads are views of the pack. */
export function readEventPack(pack: Buffer, events: HeldEvent[]): void {
  for (let at = 0; at < pack.length; ) {
    const timestampMs = Number(pack.readBigInt64BE(at));
    const offset = Number(pack.readBigInt64BE(at + 8));
    const payloadAt = at + 20;
    const tagsAt = payloadAt + pack.readUInt32BE(at + 16) + 4;
    at = tagsAt + pack.readUInt32BE(tagsAt - 4);
    const payload = pack.subarray(payloadAt, tagsAt - 4);
    const tags = at === tagsAt ? NO_TAGS : readTags(pack.subarray(tagsAt, at));
    events.push({ timestampMs, offset, payload, tags });
  }
}

/** `array`: tags in the binary form of an array. */
function readTags(array: Buffer): Tags {
  const tags: [name: string, value: string][] = [];
  for (let at = ARRAY_HEAD_BYTES; at < array.length; ) {
    const end = at + 4 + array.readUInt32BE(at);
    const nameAt = at + 8;
    const valueAt = nameAt + array.readUInt32BE(at + 4);
    tags.push([array.toString("utf8", nameAt, valueAt), array.toString("utf8", valueAt, end)]);
    at = end;
  }
  return Object.fromEntries(tags);
}

/**
 * Tags as text for `::bytea[]`, which a parameter cannot hold once for each event; "" = none. Each
 * element has the length of the name, the name and the value, so that one comparison finds it.
 */
export function tagsText(tags: Tags): string {
  let text = "";
  for (const name in tags) {
    const head = Buffer.alloc(4);
    const nameBytes = Buffer.from(name);
    head.writeUInt32BE(nameBytes.length);
    const hex = Buffer.concat([head, nameBytes, Buffer.from(tags[name] ?? "")]).toString("hex");
    text += `${text === "" ? "{" : ","}"\\\\x${hex}"`;
  }
  return text === "" ? "" : `${text}}`;
}
