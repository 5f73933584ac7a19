import { Title } from "../parts/title.tsx";
import { hrefOf, type Route, route } from "../route.ts";
import { About } from "./about.tsx";
import { Keys } from "./keys.tsx";
import { Lists } from "./lists.tsx";
import { Records } from "./records.tsx";

const PARTS = [
  { part: "keys", name: "Keys", view: Keys },
  { part: "lists", name: "Lists", view: Lists },
  { part: "records", name: "Records", view: Records },
  { part: "about", name: "About", view: About },
] as const;

/** A namespace: what is in it, and what holds for it. */
export function NamespaceView({ name, query }: { readonly name: string; readonly query: Route["query"] }) {
  const asked = route.value.path[2] ?? "keys";
  const { part, view: View } = PARTS.find((candidate) => candidate.part === asked) ?? PARTS[0];
  return (
    <>
      <div class="head">
        <Title>{name}</Title>
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
      </div>
      <View namespace={name} query={query} />
    </>
  );
}
