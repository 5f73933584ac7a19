import { Code } from "@connectrpc/connect";
import { useState } from "preact/hooks";
import { mayManageNamespaces, whoLooks } from "../caller.ts";
import { grantedNames } from "../data/caller.ts";
import { liveNamespaces } from "../namespaces.ts";
import { Empty, ProblemNote, Waiting } from "../parts/notes.tsx";
import { Title } from "../parts/title.tsx";
import { go, hrefOf } from "../route.ts";
import { useShortcuts } from "../shortcuts.ts";
import { NamespaceList } from "./namespace-list.tsx";
import { NewNamespace } from "./new-namespace.tsx";
import { Figures } from "./overview-figures.tsx";
import "./overview.css";

/** What there is, and what it does. */
export function Overview() {
  const { value, problem } = whoLooks();
  return (
    <>
      <Title>Overview</Title>
      {value === undefined && problem?.code === Code.Unauthenticated ? (
        <ProblemNote problem={problem} />
      ) : (
        <>
          {mayManageNamespaces("read") && <Figures />}
          <Namespaces />
        </>
      )}
    </>
  );
}

function Namespaces() {
  const [isMaking, setMaking] = useState(false);
  const mayMake = mayManageNamespaces("write");
  return (
    <section class="namespaces" aria-labelledby="namespaces">
      <div class="head">
        <h2 id="namespaces">Namespaces</h2>
        {mayMake && (
          <button type="button" class="main" onClick={() => setMaking(true)}>
            New namespace
          </button>
        )}
        {mayMake && <NewShortcut onNew={() => setMaking(true)} />}
      </div>
      {mayManageNamespaces("read") ? <All mayMake={mayMake} /> : <Granted />}
      {isMaking && <NewNamespace onClose={() => setMaking(false)} />}
    </section>
  );
}

function NewShortcut({ onNew }: { readonly onNew: () => void }) {
  useShortcuts([{ key: "n", does: "Make a namespace", act: onNew }]);
  return null;
}

function All({ mayMake }: { readonly mayMake: boolean }) {
  const { all, isComplete, problem } = liveNamespaces();
  return (
    <>
      <ProblemNote problem={problem} />
      {all.size > 0 && <NamespaceList all={all} />}
      {all.size === 0 && !isComplete && problem === undefined && <Waiting what="namespaces" />}
      {all.size === 0 && isComplete && (
        <Empty title="There is no namespace yet">
          <p>
            Data is kept in namespaces.{" "}
            {mayMake ? "Make the first one." : "Ask who operates the gateway to make one."}
          </p>
        </Empty>
      )}
    </>
  );
}

/** For callers that may use data, and may not list namespaces. */
function Granted() {
  const { value } = whoLooks();
  const names = value === undefined ? [] : grantedNames(value);
  return (
    <>
      <p class="quiet">
        Your role may not list the namespaces of this gateway. You can open those that you may use.
      </p>
      {names.length > 0 && (
        <ul class="granted">
          {names.map((name) => (
            <li key={name}>
              <a href={hrefOf(["ns", name, "keys"])}>{name}</a>
            </li>
          ))}
        </ul>
      )}
      <form
        class="filter"
        onSubmit={(event) => {
          event.preventDefault();
          go(hrefOf(["ns", String(new FormData(event.currentTarget).get("name")).trim(), "keys"]));
        }}
      >
        <input
          name="name"
          required
          autocomplete="off"
          aria-label="Name of a namespace"
          placeholder="Name …"
        />
        <button type="submit">Open</button>
      </form>
    </>
  );
}
