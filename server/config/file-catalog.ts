import { constants } from "node:fs";
import { access, realpath, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { PrismError, StartError } from "../errors.ts";
import {
  changedMeanwhile,
  type NamespaceCatalog,
  nameTaken,
  type SavedNamespace,
} from "../namespaces/catalog.ts";
import { ChangedMeanwhile, draftOf, markOf, replaceFile } from "../replace-file.ts";
import { watchFiles } from "../watch-files.ts";
import type { Config } from "./config.ts";
import { diff, renderChanges } from "./diff.ts";
import { type NamespaceEntry, NotEditable, putNamespace, removeNamespace } from "./edit-namespaces.ts";
import { MAX_CONFIG_FILE_BYTES, readConfigFile } from "./load.ts";
import { ConfigError } from "./problem.ts";

/** The file, and what the gateway makes of it. */
export interface FileCatalogOptions {
  /** The absolute name of the configuration file. */
  readonly file: string;
  /** Checks a text as the file's content. Throws {@link ConfigError}. */
  readonly load: (text: string) => Config;
  /** What the gateway accepted last of the file: at its start or by a reload. */
  readonly accepted: () => Config;
}

/** A namespace as it is in the file, and the version by which its readers know it. */
interface Known {
  readonly kept: SavedNamespace;
  readonly version: number;
}

/** The file as it is now. */
interface Present {
  readonly text: string;
  readonly mark: string;
  readonly config: Config;
}

/**
 * Keeps namespaces that are made at run time in the configuration file, among its `namespaces`,
 * each marked by `made:`. What people wrote there stays as it is. While the file has changes of
 * theirs that the gateway has not accepted, nothing is saved: each of the two could undo the
 * other's.
 */
export function createFileCatalog({ file, load, accepted }: FileCatalogOptions): NamespaceCatalog {
  /** What was read or written last, to notice what people change in it. */
  const known = new Map<string, Known>();
  /** The text that was written last. */
  let written: string | undefined;
  let lastVersion = 0;
  let lastStep: Promise<unknown> = Promise.resolve();

  /** Runs steps one after another, because each replaces the whole file. */
  function serially<T>(step: () => Promise<T>): Promise<T> {
    const current = lastStep.then(step);
    lastStep = current.catch(() => {});
    return current;
  }

  async function read(): Promise<Present> {
    try {
      const mark = await markOf(file);
      const content = readConfigFile(file);
      if ("error" in content) {
        throw unavailable(`the configuration file cannot be read: ${content.error}`);
      }
      return { text: content.text, mark, config: load(content.text) };
    } catch (error) {
      if (error instanceof ConfigError) {
        throw conflict(`the configuration file has mistakes:\n${error.message}`);
      }
      throw error instanceof PrismError ? error : unavailable("the configuration file cannot be read", error);
    }
  }

  function checkUnchanged({ config }: Present): void {
    const changes = diff(accepted().settings, config.settings);
    if (changes.length > 0) {
      const lines = renderChanges(changes).join("\n");
      throw conflict(`the configuration file was changed, and that is not in force yet:\n${lines}`);
    }
  }

  /** The kept namespace, if it is what its reader has seen. */
  function checkVersion({ config }: Present, name: string, version: number): void {
    const kept = config.made.find((namespace) => namespace.name === name);
    const before = known.get(name);
    if (kept === undefined || (before ?? kept).version !== version) {
      throw changedMeanwhile(name);
    }
    const changes = before === undefined ? [] : diff(before.kept, kept);
    if (changes.length > 0) {
      const lines = renderChanges(changes.map((change) => ({ ...change, needsRestart: false }))).join("\n");
      throw conflict(`namespace "${name}" was changed in the configuration file:\n${lines}`);
    }
  }

  /** Remembers what was read. What people changed in the file has a version of its own. */
  function learn(made: readonly SavedNamespace[]): readonly SavedNamespace[] {
    const before = new Map(known);
    known.clear();
    return byName(made).map((kept) => {
      const last = before.get(kept.name);
      const isSame = last === undefined || diff(last.kept, kept).length === 0;
      const version = isSame ? (last ?? kept).version : nextVersion(made);
      known.set(kept.name, { kept, version });
      return { ...kept, version };
    });
  }

  /** Larger than all that are or were, if the clock was not set back. */
  function nextVersion(made: readonly SavedNamespace[]): number {
    const highest = made.reduce((max, { version }) => Math.max(max, version), lastVersion);
    lastVersion = Math.max(Date.now(), highest + 1);
    return lastVersion;
  }

  /** Writes an edited text, if it says what is meant. */
  async function write(present: Present, edited: string, made: readonly SavedNamespace[]): Promise<void> {
    if (Buffer.byteLength(edited) > MAX_CONFIG_FILE_BYTES) {
      const message = `the configuration file would be larger than ${MAX_CONFIG_FILE_BYTES} bytes`;
      throw new PrismError("store_full", `${message}; nothing was saved`);
    }
    const after = load(edited);
    const others = [...diff(present.config.settings, after.settings), ...diff(made, after.made)];
    if (others.length > 0) {
      throw new NotEditable("its namespaces are written in a way that the gateway cannot add to");
    }
    await replaceFile(file, edited, present.mark);
    written = edited;
  }

  return {
    async open() {
      try {
        const target = await realpath(file);
        await access(dirname(target), constants.W_OK);
        await rm(draftOf(target), { force: true });
      } catch (error) {
        const message = `${dirname(file)}, the folder of the configuration file, cannot be written, and namespaces are to be kept there`;
        throw new StartError(message, error);
      }
    },

    load: () =>
      serially(async () => {
        const { config } = await read();
        return learn(config.made);
      }),

    save: (namespace) =>
      serially(async () => {
        const { name, version } = namespace;
        const present = await read();
        const { made, namespaces } = present.config;
        if (version === 0) {
          checkFree([...namespaces, ...made], name);
        } else {
          checkVersion(present, name, version);
        }
        checkUnchanged(present);
        const saved = { ...namespace, version: nextVersion(made) };
        await saving(async () => {
          const others = made.filter((each) => each.name !== name);
          await write(present, putNamespace(present.text, entryOf(saved)), [...others, saved]);
        });
        known.set(name, { kept: saved, version: saved.version });
        return saved;
      }),

    remove: (name, version) =>
      serially(async () => {
        const present = await read();
        checkVersion(present, name, version);
        checkUnchanged(present);
        await saving(() =>
          write(
            present,
            removeNamespace(present.text, name),
            present.config.made.filter((each) => each.name !== name),
          ),
        );
        known.delete(name);
      }),

    watch: (changed) =>
      watchFiles([file], () => {
        const content = readConfigFile(file);
        if ("error" in content || content.text !== written) {
          changed();
        }
      }),

    close: () => serially(async () => {}),
  };
}

function byName(namespaces: readonly SavedNamespace[]): readonly SavedNamespace[] {
  return namespaces.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function checkFree(namespaces: readonly { readonly name: string }[], name: string): void {
  if (namespaces.some((namespace) => namespace.name === name)) {
    throw nameTaken(name);
  }
}

/** Words the errors of a change that was not saved. */
async function saving(step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    throw savingError(error);
  }
}

function savingError(error: unknown): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  if (error instanceof ChangedMeanwhile) {
    return conflict("the configuration file was changed at the same time; nothing was saved");
  }
  if (error instanceof NotEditable) {
    return conflict(`the configuration file was not changed: ${error.message}`);
  }
  if (error instanceof ConfigError) {
    return new PrismError("invalid_field", `the configuration file would have mistakes:\n${error.message}`);
  }
  const { code } = Object(error);
  return code === "ENOSPC" || code === "EDQUOT"
    ? new PrismError("store_full", "no room on the disk of the configuration file; nothing was saved", {
        cause: error,
      })
    : unavailable(`the configuration file cannot be replaced (${code}); nothing was saved`, error);
}

function conflict(message: string): PrismError {
  return new PrismError("conflict", message);
}

function unavailable(message: string, cause?: unknown): PrismError {
  return new PrismError("store_unavailable", message, { cause });
}

/** A namespace in the words of the file, without what is the default. */
function entryOf({ name, pattern, backend, rules, ...made }: SavedNamespace): NamespaceEntry {
  const { version, createdAtMs, deleting, wishes } = made;
  const { limits, ttl, access } = rules;
  const { retentionDays, lateEvents } = rules.timeseries;
  const timeseries = { retentionDays, ...(lateEvents !== "accept" && { lateEvents }) };
  const at = new Date(createdAtMs).toISOString();
  const whole = {
    pattern,
    backend,
    limits,
    ttl,
    timeseries,
    access,
    made: { version, at, deleting, wishes },
  };
  return { name, ...Object(stated(whole)) };
}

/** Without zeros and what is empty, and with keys in the words of the file. */
function stated(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value.length === 0 ? undefined : value.map((item) => stated(item) ?? {});
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).flatMap(([key, each]) => {
      const inner = stated(each);
      return inner === undefined ? [] : [[snakeCased(key), inner]];
    });
    return entries.length === 0 ? undefined : Object.fromEntries(entries);
  }
  // The file's reader puts variables into text.
  return typeof value === "string" ? value.replaceAll("${", () => "$${") || undefined : value || undefined;
}

function snakeCased(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
