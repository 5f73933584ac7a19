import { useEffect } from "preact/hooks";
import { visible } from "../data/bytes.ts";
import { formatCount, formatDuration } from "../data/format.ts";
import { ProblemNote, Waiting } from "../parts/notes.tsx";
import { StoreState } from "../parts/state.tsx";
import { hrefOf } from "../route.ts";
import { stores } from "../server.ts";
import { isVisible } from "../visible.ts";
import "./stores.css";

/** The gateway asks the stores all the time: reading what it found needs no haste. */
const EVERY_MS = 10_000;

/** Every configured store, as the gateway found it last. */
export function StoreTable() {
  const { value, problem, reload } = stores();
  useEffect(() => {
    reload();
    const timer = setInterval(() => {
      if (isVisible.peek()) {
        reload();
      }
    }, EVERY_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return (
    <>
      <ProblemNote problem={problem} onRetry={reload} />
      {value === undefined && problem === undefined && <Waiting what="stores" />}
      {value !== undefined && (
        <div class="table stores">
          <table>
            <thead>
              <tr>
                <th>Name</th>
                <th>Kind</th>
                <th class="wide">Where</th>
                <th>State</th>
                <th class="number">Namespaces</th>
              </tr>
            </thead>
            <tbody>
              {value.backends.map(
                ({ name, type, where, state, stateSinceMillis, problem, namespaceCount }) => (
                  <tr key={name}>
                    <td class="name">
                      <a href={hrefOf(["stores", name])}>{name}</a>
                    </td>
                    <td>{type}</td>
                    <td class="wide mono">{where === "" ? "in memory" : visible(where)}</td>
                    <td>
                      <StoreState state={state} />
                      {stateSinceMillis > 0n && (
                        <span class="quiet">
                          {" "}
                          for {formatDuration(Date.now() - Number(stateSinceMillis))}
                        </span>
                      )}
                      {problem !== "" && <div class="bad">{visible(problem)}</div>}
                    </td>
                    <td class="number">{formatCount(namespaceCount)}</td>
                  </tr>
                ),
              )}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
