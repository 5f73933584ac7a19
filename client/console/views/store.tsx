import { type Backend, BackendState } from "../../../gen/prism/admin/v1/admin_pb.ts";
import { atomicityInWords } from "../data/atomicity.ts";
import { visible } from "../data/bytes.ts";
import { figuresInWords } from "../data/figures.ts";
import { formatCount, formatDuration } from "../data/format.ts";
import { gateway } from "../gateway.ts";
import { useLoad } from "../load.ts";
import { Fact, Facts } from "../parts/facts.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { StoreState } from "../parts/state.tsx";
import { hrefOf } from "../route.ts";
import "./about.css";
import "./stores.css";

/** One store, asked now how it is. */
export function Store({ name }: { readonly name: string }) {
  const { value, problem, isLoading, reload } = useLoad(
    (signal) => gateway.admin.getBackend({ name }, { signal }),
    [name],
  );
  const store = value?.backend;
  return (
    <>
      <p class="head">
        <a href={hrefOf(["stores"])}>All stores</a>
        <button type="button" disabled={isLoading} onClick={reload}>
          {isLoading ? "Asking …" : "Ask it now"}
        </button>
      </p>
      <ProblemNote problem={problem} />
      {store === undefined && isLoading && <Waiting what="the store" />}
      {store !== undefined && (
        <div class="about">
          <section class="card" aria-labelledby="store-state">
            <h2 id="store-state">State</h2>
            <StateFacts store={store} />
          </section>
          <section class="card" aria-labelledby="store-can">
            <h2 id="store-can">What it can do</h2>
            <Abilities store={store} />
          </section>
          <section class="card" aria-labelledby="store-now">
            <h2 id="store-now">Now</h2>
            <Now store={store} />
          </section>
          <section class="card" aria-labelledby="store-namespaces">
            <h2 id="store-namespaces">Namespaces: {formatCount(store.namespaceCount)}</h2>
            <NamespacesOn store={store} />
          </section>
        </div>
      )}
    </>
  );
}

function StateFacts({ store }: { readonly store: Backend }) {
  const { type, where, state, stateSinceMillis, checkedAtMillis, problem } = store;
  return (
    <Facts>
      <Fact name="State">
        <StoreState state={state} />
        {stateSinceMillis > 0n && ` for ${formatDuration(Date.now() - Number(stateSinceMillis))}`}
      </Fact>
      {problem !== "" && (
        <Fact name="Why">
          <span class="bad">{visible(problem)}</span>
        </Fact>
      )}
      <Fact name="Kind">{type}</Fact>
      <Fact name="Where">
        <span class="mono">{where === "" ? "in the gateway's memory" : visible(where)}</span>
      </Fact>
      {checkedAtMillis > 0n && (
        <Fact name="Asked">{formatDuration(Date.now() - Number(checkedAtMillis))} ago</Fact>
      )}
    </Facts>
  );
}

function Abilities({ store: { state, interfaces, atomicity, canErase } }: { readonly store: Backend }) {
  if (state === BackendState.UNUSED) {
    return <p class="quiet">No namespace is on it, so it is not open. It tells what it can when it is.</p>;
  }
  return (
    <Facts>
      <Fact name="Interfaces">{interfaces.join(", ")}</Fact>
      <Fact name="Writes of several keys are whole">{atomicityInWords(atomicity)}</Fact>
      <Fact name="Namespaces on it can be deleted">
        {canErase ? "yes" : "no: it cannot remove their data"}
      </Fact>
    </Facts>
  );
}

function Now({ store: { figures } }: { readonly store: Backend }) {
  const all = figuresInWords(figures);
  if (all.length === 0) {
    return <p class="quiet">The gateway counts nothing of this store.</p>;
  }
  return (
    <Facts>
      {all.map(([name, words]) => (
        <Fact key={name} name={name}>
          {words}
        </Fact>
      ))}
    </Facts>
  );
}

function NamespacesOn({ store: { namespaces, namespaceCount } }: { readonly store: Backend }) {
  if (namespaceCount === 0) {
    return <p class="quiet">None. A new namespace can be on it.</p>;
  }
  return (
    <>
      <ul class="names">
        {namespaces.map((name) => (
          <li key={name}>
            <a href={hrefOf(["ns", name, "keys"])}>{name}</a>
          </li>
        ))}
      </ul>
      {namespaceCount > namespaces.length && (
        <p class="quiet">These are the first {formatCount(namespaces.length)}.</p>
      )}
    </>
  );
}
