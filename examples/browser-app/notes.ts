// In a project of your own: from "prism-client/web".
import { type Entry, json, type PrismClient } from "../../client/web.ts";

const PREFIX = "note:";

/** What people write. */
export interface Note {
  readonly title: string;
  readonly text: string;
}

/** A note as somebody saw it. */
export interface SeenNote extends Note {
  readonly id: string;
  /** Of the entry; `undefined` = the note is not saved yet. */
  readonly version: number | undefined;
}

/** What became of a save. */
export type Saved =
  | { readonly saved: true; readonly note: SeenNote }
  /** Somebody else was first. `theirs`: what is there; `undefined` = they deleted it. */
  | { readonly saved: false; readonly theirs: SeenNote | undefined };

const codec = json<Note>();

/** Notes that many people edit at the same time, and nobody's words are lost. */
export function createNotes({ keyvalue }: PrismClient) {
  const notes = keyvalue.as(codec);
  return {
    /** Ids and titles of all notes. */
    async list(signal: AbortSignal): Promise<{ readonly id: string; readonly title: string }[]> {
      const found = [];
      for await (const [key, { title }] of notes.scan(PREFIX, { signal })) {
        found.push({ id: key.slice(PREFIX.length), title });
      }
      return found;
    },

    /** `undefined` = somebody deleted it. */
    async open(id: string): Promise<SeenNote | undefined> {
      const [entry] = await keyvalue.getEntries([PREFIX + id]);
      return entry && seen(id, entry);
    },

    /** Writes a note if nobody has changed it since it was seen. */
    async save({ id, version }: SeenNote, note: Note): Promise<Saved> {
      const expected = version === undefined ? ({ absent: true } as const) : { version };
      const swap = await keyvalue.compareAndSwap(PREFIX + id, expected, codec.encode(note));
      return swap.swapped
        ? { saved: true, note: { ...note, id, version: swap.version } }
        : { saved: false, theirs: swap.actual && (await seen(id, swap.actual)) };
    },

    /** Deletes a note if nobody has changed it since it was seen. False: somebody has. */
    async remove({ id, version }: SeenNote): Promise<boolean> {
      return version === undefined || (await keyvalue.compareAndDelete(PREFIX + id, { version })).deleted;
    },
  };
}

async function seen(id: string, { value, version }: Entry): Promise<SeenNote> {
  return { ...(await codec.decode(value)), id, version };
}
