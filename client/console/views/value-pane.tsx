import type { Action } from "../load.ts";
import { ProblemNote } from "../parts/notes.tsx";
import { download, ValueView } from "../parts/value-view.tsx";

/** A value of a key or of an item, and what can be done with it. */
export function ValuePane({
  bytes,
  name,
  wasChanged,
  deleting,
  mayWrite,
  onEdit,
}: {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The name of the file that a download makes. */
  readonly name: string;
  /** Whether a delete was given up because somebody else had changed it. */
  readonly wasChanged: boolean;
  readonly deleting: Action<readonly []>;
  readonly mayWrite: boolean;
  readonly onEdit: () => void;
}) {
  return (
    <>
      {wasChanged && (
        <p class="note" role="alert">
          It was not deleted: somebody changed it meanwhile. This is the new value; delete it again if it is
          to go.
        </p>
      )}
      <ValueView bytes={bytes} />
      <ProblemNote problem={deleting.problem} />
      <div class="buttons">
        <button type="button" onClick={() => download(bytes, name)}>
          Download
        </button>
        {mayWrite && (
          <>
            <button
              type="button"
              class="danger"
              disabled={deleting.isRunning}
              onClick={() => void deleting.run()}
            >
              Delete
            </button>
            <button type="button" class="main" onClick={onEdit}>
              Edit
            </button>
          </>
        )}
      </div>
    </>
  );
}
