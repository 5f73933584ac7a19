import type { FunctionComponent } from "preact";
import { useLoad } from "../load.ts";
import { Waiting } from "./notes.tsx";

/** A view whose code is loaded when it is first shown. `what` names it where it is waited for. */
export function lazyView<Props extends object>(
  what: string,
  load: () => Promise<FunctionComponent<Props>>,
): FunctionComponent<Props> {
  return (props) => {
    const { value: View, problem, reload } = useLoad(load, []);
    if (View !== undefined) {
      return <View {...props} />;
    }
    if (problem === undefined) {
      return <Waiting what={what} />;
    }
    return (
      <div class="note problem" role="alert">
        <p>This part of the page cannot be loaded. If trying again does not help, load the page again.</p>
        <button type="button" onClick={reload}>
          Try again
        </button>
      </div>
    );
  };
}
