import { BackendState } from "../../../gen/prism/admin/v1/admin_pb.ts";
import { NamespaceStatus } from "../../../gen/prism/control/v1/namespace_pb.ts";

/** How something is, in a word and a color. */
interface Look {
  readonly word: string;
  readonly tone: "good" | "warn" | "bad" | "quiet";
}

const NAMESPACE_LOOKS: Readonly<Record<number, Look>> = {
  [NamespaceStatus.PROVISIONING]: { word: "being made", tone: "warn" },
  [NamespaceStatus.ACTIVE]: { word: "active", tone: "good" },
  [NamespaceStatus.DEGRADED]: { word: "not served", tone: "bad" },
  [NamespaceStatus.DELETING]: { word: "being deleted", tone: "warn" },
};

const STORE_LOOKS: Readonly<Record<number, Look>> = {
  [BackendState.UNUSED]: { word: "not in use", tone: "quiet" },
  [BackendState.SERVING]: { word: "serving", tone: "good" },
  [BackendState.READ_ONLY]: { word: "read-only", tone: "warn" },
  [BackendState.NOT_SERVING]: { word: "not serving", tone: "bad" },
};

/** What a later gateway may say. */
const UNKNOWN: Look = { word: "unknown", tone: "quiet" };

/** The state of a namespace. */
export function NamespaceState({ status }: { readonly status: NamespaceStatus }) {
  return <State {...(NAMESPACE_LOOKS[status] ?? UNKNOWN)} />;
}

/** The state of a store. */
export function StoreState({ state }: { readonly state: BackendState }) {
  return <State {...(STORE_LOOKS[state] ?? UNKNOWN)} />;
}

function State({ word, tone }: Look) {
  return (
    <span class="state">
      <span class={tone} aria-hidden="true">
        ●
      </span>{" "}
      {word}
    </span>
  );
}
