import type { AccessControl } from "../../../gen/prism/control/v1/namespace_pb.ts";
import { visible } from "../data/bytes.ts";

/** Who may use a namespace besides those who may use all, and who answers for it. */
export function Access({ access }: { readonly access: AccessControl | undefined }) {
  const { owners = [], consumers = [] } = access ?? {};
  return (
    <>
      {owners.length > 0 && (
        <p>
          Answers for it: {owners.map(({ team, role }) => `${visible(team)} (${visible(role)})`).join(", ")}
        </p>
      )}
      {consumers.length === 0 ? (
        <p class="quiet">Whoever may use every namespace.</p>
      ) : (
        <Consumers consumers={consumers} />
      )}
    </>
  );
}

function Consumers({ consumers }: { readonly consumers: AccessControl["consumers"] }) {
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th>Callers</th>
            <th>May</th>
            <th>Keys that begin with</th>
            <th>Calls</th>
          </tr>
        </thead>
        <tbody>
          {consumers.map(({ servicePattern, permissions, keyPrefix, methods }, i) => (
            <tr key={`${i}`}>
              <td class="mono">{visible(servicePattern)}</td>
              <td>{permissions.join(", ")}</td>
              <td class="mono">{keyPrefix === "" ? "all" : visible(keyPrefix)}</td>
              <td>{methods.length === 0 ? "all" : methods.map(visible).join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
