import { type Namespace, NamespaceSource } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { mayManageNamespaces } from "../caller.ts";
import { atomicityInWords } from "../data/atomicity.ts";
import { formatTime } from "../data/format.ts";
import { limitsInWords } from "../data/limits.ts";
import { snippetsOf } from "../data/snippets.ts";
import { gateway } from "../gateway.ts";
import { useLoad } from "../load.ts";
import { liveNamespaces } from "../namespaces.ts";
import { CopyAs } from "../parts/copy.tsx";
import { Fact, Facts } from "../parts/facts.tsx";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { NamespaceState } from "../parts/state.tsx";
import { hrefOf } from "../route.ts";
import { targetOf } from "../target.ts";
import { Access } from "./about-access.tsx";
import { DeleteNamespace } from "./delete-namespace.tsx";
import type { NamespacePart } from "./namespace-part.ts";
import "./about.css";

/** What holds for a namespace: its store, its limits, who may use it, and its end. */
export function About({ namespace: name }: NamespacePart) {
  const { all, isComplete, problem } = liveNamespaces();
  const namespace = all.get(name);
  if (!mayManageNamespaces("read")) {
    return <p class="quiet">Your role may use data, and may not see what holds for a namespace.</p>;
  }
  if (namespace === undefined) {
    return isComplete || problem !== undefined ? (
      <ProblemNote problem={problem} />
    ) : (
      <Waiting what="the namespace" />
    );
  }
  return (
    <div class="about">
      <section class="card" aria-labelledby="about-facts">
        <h2 id="about-facts">Namespace</h2>
        <Basics namespace={namespace} />
        <CopyAs snippets={snippetsOf({ kind: "namespace" }, targetOf(name))} />
      </section>
      <section class="card" aria-labelledby="about-limits">
        <h2 id="about-limits">Limits</h2>
        <Limits namespace={namespace} />
      </section>
      <section class="card" aria-labelledby="about-access">
        <h2 id="about-access">Who may use it</h2>
        <Access access={namespace.accessControl} />
      </section>
      <DeleteNamespace namespace={namespace} />
      <section class="card" aria-labelledby="about-calls">
        <h2 id="about-calls">What works in it</h2>
        <Capabilities namespace={namespace} />
      </section>
    </div>
  );
}

function Basics({ namespace }: { readonly namespace: Namespace }) {
  const { backend, status, statusMessage, source, createdAtMillis } = namespace;
  return (
    <Facts>
      <Fact name="State">
        <NamespaceState status={status} />
        {statusMessage !== "" && <p class="quiet">{statusMessage}</p>}
      </Fact>
      <Fact name="Store">
        <a href={hrefOf(["stores", backend])}>{backend}</a>
      </Fact>
      <Fact name="From">
        {source === NamespaceSource.FILE
          ? "the configuration file, and only the file changes it"
          : "a call: it was made while the gateway ran, and the gateway keeps it"}
      </Fact>
      {createdAtMillis > 0n && <Fact name="Made">{formatTime(Number(createdAtMillis))}</Fact>}
    </Facts>
  );
}

function Limits({ namespace: { policies } }: { readonly namespace: Namespace }) {
  const limits = policies === undefined ? [] : limitsInWords(policies);
  if (limits.length === 0) {
    return <p class="quiet">None but those of the gateway itself.</p>;
  }
  return (
    <Facts>
      {limits.map(([name, words]) => (
        <Fact key={name} name={name}>
          {words}
        </Fact>
      ))}
    </Facts>
  );
}

/** Services, without what all their names begin with. */
function Capabilities({ namespace: { name, status } }: { readonly namespace: Namespace }) {
  const { value, problem, reload } = useLoad(
    (signal) => gateway.admin.getCapabilities({ namespace: name }, { signal }),
    [name, status],
  );
  if (value === undefined) {
    return problem === undefined ? (
      <Waiting what="what works" />
    ) : (
      <ProblemNote problem={problem} onRetry={reload} />
    );
  }
  return (
    <>
      <Facts>
        <Fact name="Kind of store">{value.type}</Fact>
        <Fact name="Writes of several keys are whole">{atomicityInWords(value.atomicity)}</Fact>
      </Facts>
      <ul class="services">
        {value.services.map(({ service, supported, methods }) => (
          <li key={service}>
            <span class={supported ? "good" : "quiet"} aria-hidden="true">
              {supported ? "✓" : "–"}
            </span>
            <div>
              <code>{service.replace(/^prism\.(interfaces\.)?/, "")}</code>
              {!supported && <span class="quiet"> does not work here</span>}
              <div class="quiet">{methods.join(", ")}</div>
            </div>
          </li>
        ))}
      </ul>
    </>
  );
}
