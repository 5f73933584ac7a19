import { LIMIT_FIELDS, NAME_PATTERN, namespaceOf } from "../data/new-namespace.ts";
import { gateway } from "../gateway.ts";
import { useAction } from "../load.ts";
import { noteNamespace } from "../namespaces.ts";
import { Dialog } from "../parts/dialog.tsx";
import { ProblemNote } from "../parts/notes.tsx";
import { tell } from "../parts/toasts.tsx";
import { go, hrefOf } from "../route.ts";
import { stores } from "../server.ts";
import "./new-namespace.css";

/** Asks for a new namespace, makes it and opens it. */
export function NewNamespace({ onClose }: { readonly onClose: () => void }) {
  const create = useAction(async (form: HTMLFormElement) => {
    const fields = new FormData(form);
    const asked = namespaceOf((name) => String(fields.get(name) ?? ""));
    const { namespace } = await gateway.control.createNamespace({ namespace: asked });
    noteNamespace(namespace);
    tell(`Made the namespace ${asked.name}`);
    onClose();
    go(hrefOf(["ns", asked.name ?? "", "keys"]));
  });
  return (
    <Dialog title="New namespace" onClose={onClose}>
      <form
        class="new-namespace"
        onSubmit={(event) => {
          event.preventDefault();
          void create.run(event.currentTarget);
        }}
      >
        <label class="field">
          Name
          <input
            name="name"
            required
            autocomplete="off"
            spellcheck={false}
            pattern={NAME_PATTERN}
            maxLength={63}
            title="A small letter, then small letters, digits, - _ and ."
            aria-describedby="new-namespace-name"
          />
          <span id="new-namespace-name" class="quiet">
            A small letter, then small letters, digits, - _ and .
          </span>
        </label>
        <StoreField />
        <Limits />
        <ProblemNote problem={create.problem} />
        <div class="buttons">
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="main" disabled={create.isRunning}>
            {create.isRunning ? "Making it …" : "Make it"}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function StoreField() {
  const { value, problem, reload } = stores();
  return (
    <>
      <label class="field">
        Store
        <select name="backend" aria-describedby="new-namespace-store">
          {(value?.backends ?? []).map(({ name, type }) => (
            <option key={name} value={name} selected={name === "database"}>
              {name === type ? name : `${name} (${type})`}
            </option>
          ))}
        </select>
        <span id="new-namespace-store" class="quiet">
          Its data stays there: the store of a namespace cannot be changed later.
        </span>
      </label>
      <ProblemNote problem={problem} onRetry={reload} />
    </>
  );
}

function Limits() {
  return (
    <details>
      <summary>Limits</summary>
      <p class="quiet">Leave a field empty for no limit.</p>
      <div class="limits">
        {LIMIT_FIELDS.map(({ name, label, max }) => (
          <label key={name} class="field">
            {label}
            <input name={name} type="number" min="0" max={max} step="1" />
          </label>
        ))}
      </div>
      <label>
        <input name="ttlForbidden" type="checkbox" /> No entry may have a time to live
      </label>
    </details>
  );
}
