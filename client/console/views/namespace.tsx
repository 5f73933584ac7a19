import { useRef } from "preact/hooks";
import { NamespaceStatus } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { mayManageNamespaces, mayUseNamespace } from "../caller.ts";
import { type LiveNamespaces, liveNamespaces } from "../namespaces.ts";
import { lazyView } from "../parts/lazy-view.tsx";
import { Title } from "../parts/title.tsx";
import { hrefOf, type Route, route } from "../route.ts";
import { About } from "./about.tsx";
import { Keys } from "./keys.tsx";
import { Lists } from "./lists.tsx";
import { Records } from "./records.tsx";

const Streams = lazyView("the streams", async () => (await import("./streams.tsx")).Streams);

const PARTS = [
  { part: "keys", name: "Keys", view: Keys },
  { part: "lists", name: "Lists", view: Lists },
  { part: "records", name: "Records", view: Records },
  { part: "streams", name: "Streams", view: Streams },
  { part: "about", name: "About", view: About },
] as const;

/** A namespace: what is in it, and what holds for it. */
export function NamespaceView({ name, query }: { readonly name: string; readonly query: Route["query"] }) {
  const asked = route.value.path[2] ?? "keys";
  const { part, view: View } = PARTS.find((candidate) => candidate.part === asked) ?? PARTS[0];
  const presence = usePresence(name);
  return (
    <>
      <div class="head">
        <Title>{name}</Title>
        {presence !== "never" && (
          <nav class="tabs" aria-label="Parts of the namespace">
            {PARTS.map((candidate) => (
              <a
                key={candidate.part}
                href={hrefOf(["ns", name, candidate.part])}
                aria-current={candidate.part === part ? "page" : undefined}
              >
                {candidate.name}
              </a>
            ))}
          </nav>
        )}
      </div>
      <PresenceNote name={name} presence={presence} />
      {presence !== "never" && <RoleNote name={name} />}
      {/* What was typed in a namespace that is deleted meanwhile can still be copied. */}
      {presence !== "never" && <View namespace={name} query={query} />}
    </>
  );
}

/** Whether there is a namespace. `unknown`: who looks may not see that, or not yet. */
type Presence = "unknown" | "there" | "degraded" | "deleting" | "deleted" | "never";

function usePresence(name: string): Presence {
  const wasThere = useRef(false);
  const live = mayManageNamespaces("read") ? liveNamespaces() : undefined;
  const presence = live === undefined ? "unknown" : presenceOf(live, name, wasThere.current);
  wasThere.current ||= live?.all.has(name) ?? false;
  return presence;
}

function presenceOf({ all, isComplete }: LiveNamespaces, name: string, wasThere: boolean): Presence {
  switch (all.get(name)?.status) {
    case undefined:
      return !isComplete ? "unknown" : wasThere ? "deleted" : "never";
    case NamespaceStatus.DELETING:
      return "deleting";
    case NamespaceStatus.DEGRADED:
      return "degraded";
    default:
      return "there";
  }
}

function PresenceNote({ name, presence }: { readonly name: string; readonly presence: Presence }) {
  switch (presence) {
    case "unknown":
    case "there":
      return null;
    case "degraded":
      return (
        <p class="note" role="status">
          This namespace cannot be served now. {liveNamespaces().all.get(name)?.statusMessage}
        </p>
      );
    case "deleting":
      return (
        <p class="note problem" role="alert">
          This namespace is being deleted, with all its data. It takes no calls any more.
        </p>
      );
    case "deleted":
      return (
        <p class="note problem" role="alert">
          This namespace was deleted while it was open. What you typed can still be copied.{" "}
          <a href={hrefOf([])}>To the overview</a>
        </p>
      );
    case "never":
      return (
        <p>
          There is no namespace of this name. <a href={hrefOf([])}>The overview</a> has those that there are.
        </p>
      );
  }
}

function RoleNote({ name }: { readonly name: string }) {
  if (mayUseNamespace(name, "write")) {
    return null;
  }
  return (
    <p class="quiet">
      {mayUseNamespace(name, "read")
        ? "Your role may read this namespace, and may not change what is in it."
        : "Your role may not read what is in this namespace."}
    </p>
  );
}
