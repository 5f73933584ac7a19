import type { PrismClient } from "../../client/node.ts";
import type { DumpLine, ListLine, RecordLine } from "./dump-line.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

/** What one call writes, at most: so many entries, and so many characters or one entry. */
const BATCH_ENTRIES = 1000;
const BATCH_CHARACTERS = 1024 * 1024;

/** The most items that one call writes to a record. */
const PUT_ITEMS = 1000;

/**
 * The values that are on their way to a list at the same time. The gateway takes what comes over
 * one connection in order, and each answer tells the place that its value got.
 */
const PUSHES = 64;

type Item = [key: string, value: string | Buffer, ttlSeconds: number | undefined];

/**
 * Writes the lines of a dump. While a call writes entries, the next ones are gathered; never more.
 * Calls come one after another, so that of two lines with one key the later one wins.
 */
export class DumpWriter {
  readonly #client: PrismClient;
  #batch: Item[] = [];
  #characters = 0;
  #batchLine: number | undefined;
  #writing: Promise<void> | undefined;
  /** The lines before this one are written. `undefined` = all are that were added. */
  goOnAt: number | undefined;
  entries = 0;
  lists = 0;
  records = 0;
  /** The list or record of the last line, and the line where it began. */
  #begun: { readonly of: "lists" | "records"; readonly name: string; readonly line: number } | undefined;
  /** Entries and items that were left out, because their time is over. */
  expired = 0;

  constructor(client: PrismClient) {
    this.#client = client;
  }

  /** Adds a line. The result has to be awaited if there is one: it may throw PrismError. */
  add(line: number, said: DumpLine): Promise<void> | undefined {
    if ("list" in said) {
      return this.#writeList(line, said);
    }
    if ("record" in said) {
      return this.#writeRecord(line, said);
    }
    const { key, value, expiresAtMs } = said;
    const ttlSeconds = leftSeconds(expiresAtMs);
    if (ttlSeconds !== undefined && ttlSeconds <= 0) {
      this.expired++;
      return undefined;
    }
    this.#batchLine ??= line;
    this.goOnAt ??= line;
    this.#batch.push([key, value, ttlSeconds]);
    this.#characters += key.length + value.length;
    const isFull = this.#batch.length >= BATCH_ENTRIES || this.#characters >= BATCH_CHARACTERS;
    return isFull ? this.#send() : undefined;
  }

  /** Resolves when every line is written. Throws PrismError. */
  async end(): Promise<void> {
    await this.#send();
    await this.#writing;
    this.goOnAt = undefined;
  }

  /** Writes the values of a line. The first line of a list removes what is there. */
  async #writeList(line: number, { list, values, append }: ListLine): Promise<void> {
    await this.#begin("lists", list, line, append);
    const before = append ? await this.#client.list.length(list) : await this.#client.list.trim(list, 1, 0);
    for (let at = 0; at < values.length; at += PUSHES) {
      const some = values.slice(at, at + PUSHES);
      const lengths = await Promise.all(some.map((value) => this.#client.list.pushRight(list, value)));
      if (lengths.some((length, i) => length !== before + at + i + 1)) {
        throw new CommandError(
          EXIT.failed,
          `the list ${list} was changed meanwhile: its values are in another order`,
        );
      }
    }
    this.goOnAt = undefined;
  }

  /** Writes the items of a line. The first line of a record removes what is there. */
  async #writeRecord(line: number, { record, items, append }: RecordLine): Promise<void> {
    await this.#begin("records", record, line, append);
    if (!append) {
      await this.#client.records.delete(record);
    }
    const timed = items.map(({ expiresAtMs, ...item }) => ({
      ...item,
      ttlSeconds: leftSeconds(expiresAtMs),
    }));
    const live = timed.filter(({ ttlSeconds }) => ttlSeconds === undefined || ttlSeconds > 0);
    this.expired += timed.length - live.length;
    for (let at = 0; at < live.length; at += PUT_ITEMS) {
      await this.#client.records.put(record, live.slice(at, at + PUT_ITEMS));
    }
    this.goOnAt = undefined;
  }

  /** Writes what came before. A failure goes on where the list or the record began. */
  async #begin(of: "lists" | "records", name: string, line: number, append: boolean): Promise<void> {
    await this.end();
    if (!append || this.#begun?.of !== of || this.#begun.name !== name) {
      this.#begun = { of, name, line };
      this[of]++;
    }
    this.goOnAt = this.#begun.line;
  }

  async #send(): Promise<void> {
    const [batch, line] = [this.#batch, this.#batchLine];
    this.#batch = [];
    this.#characters = 0;
    this.#batchLine = undefined;
    await this.#writing;
    if (batch.length > 0) {
      this.goOnAt = line;
      this.entries += batch.length;
      this.#writing = this.#client.keyvalue.setMany(batch);
      // Whoever awaits it next has its failure.
      this.#writing.catch(() => {});
    }
  }
}

/** The whole seconds until then, rounded up; `undefined` = it never comes. */
function leftSeconds(expiresAtMs: number | undefined): number | undefined {
  return expiresAtMs === undefined ? undefined : Math.ceil((expiresAtMs - Date.now()) / 1000);
}
