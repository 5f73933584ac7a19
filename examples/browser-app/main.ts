/** A page of shared notes, which calls the gateway itself. README.md tells how to run it. */
import { PrismClient } from "../../client/web.ts";
import { createNotes, type SeenNote } from "./notes.ts";

const GATEWAY = import.meta.env.VITE_PRISM_URL ?? "http://localhost:8980";

/** How long the list may be behind. */
const REFRESH_MS = 1000;

/** A list that takes longer is as good as none. */
const LIST_TIMEOUT_MS = 5000;

const notes = createNotes(new PrismClient(GATEWAY));

const status = element("status", HTMLParagraphElement);
const list = element("list", HTMLUListElement);
const empty = element("empty", HTMLParagraphElement);
const editor = element("editor", HTMLFormElement);
const title = element("title", HTMLInputElement);
const text = element("text", HTMLTextAreaElement);
const conflict = element("conflict", HTMLElement);

/** The note in the editor, as it was when it was last read or saved. */
let open = newNote();

/** What the list shows. */
let listed = "";

/** What somebody else saved meanwhile; `undefined` = they deleted the note. */
let theirs: SeenNote | undefined;

function newNote(): SeenNote {
  return { id: crypto.randomUUID(), version: undefined, title: "", text: "" };
}

function show(note: SeenNote): void {
  open = note;
  title.value = note.title;
  text.value = note.text;
  conflict.hidden = true;
  status.textContent = "";
}

/** Whether the editor may show another note: what is not saved is lost. */
function mayLeave(): boolean {
  const isSaved = title.value === open.title && text.value === open.text;
  return isSaved || confirm("Leave this note without saving it?");
}

function showConflict(their: SeenNote | undefined): void {
  theirs = their;
  element("their-title", HTMLParagraphElement).textContent = their?.title ?? "They deleted it.";
  element("their-text", HTMLPreElement).textContent = their?.text ?? "";
  conflict.hidden = false;
  status.textContent = "Nothing was changed.";
}

/** Writes the editor's note, unless somebody has changed it since it was `seen`. */
async function save(seen: SeenNote): Promise<void> {
  const outcome = await notes.save(seen, { title: title.value, text: text.value });
  if (outcome.saved) {
    // The editor stays as it is: somebody may have typed on.
    open = outcome.note;
    conflict.hidden = true;
    status.textContent = "Saved.";
  } else {
    showConflict(outcome.theirs);
  }
  await refresh();
}

async function remove(): Promise<void> {
  if (await notes.remove(open)) {
    show(newNote());
    status.textContent = "Deleted.";
  } else {
    showConflict(await notes.open(open.id));
  }
  await refresh();
}

async function refresh(): Promise<void> {
  const found = await notes.list(AbortSignal.timeout(LIST_TIMEOUT_MS));
  // A list that is replaced loses the keyboard's focus.
  const next = JSON.stringify([found, open.id]);
  if (next === listed) {
    return;
  }
  listed = next;
  empty.hidden = found.length > 0;
  list.replaceChildren(
    ...found.map((note) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = note.title;
      button.setAttribute("aria-current", String(note.id === open.id));
      button.onclick = doing(async () => {
        if (mayLeave()) {
          show((await notes.open(note.id)) ?? newNote());
          await refresh();
        }
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

/** Runs what a person asked for, and says so if it fails. */
function doing(action: () => Promise<void>): (event: Event) => Promise<void> {
  return async (event) => {
    event.preventDefault();
    try {
      await action();
    } catch (error) {
      status.textContent = messageOf(error);
    }
  };
}

/** Keeps the list up to date, also while the gateway comes and goes. */
async function follow(): Promise<never> {
  for (let isAway = false; ; await new Promise((resolve) => setTimeout(resolve, REFRESH_MS))) {
    try {
      await refresh();
      if (isAway) {
        status.textContent = "Connected again.";
      }
      isAway = false;
    } catch (error) {
      isAway = true;
      status.textContent = messageOf(error);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) {
    throw new Error(`the page has no #${id}`);
  }
  return found;
}

editor.onsubmit = doing(() => save(open));
element("delete", HTMLButtonElement).onclick = doing(remove);
element("new", HTMLButtonElement).onclick = doing(async () => {
  if (mayLeave()) {
    show(newNote());
    title.focus();
    await refresh();
  }
});
element("take-theirs", HTMLButtonElement).onclick = doing(async () => show(theirs ?? newNote()));
element("keep-mine", HTMLButtonElement).onclick = doing(() => save({ ...open, version: theirs?.version }));
await follow();
