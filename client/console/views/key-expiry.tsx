import { useEffect, useState } from "preact/hooks";
import { formatDuration } from "../data/format.ts";
import { leftMs, type SeenEntry } from "../data/key-write.ts";
import { useAction } from "../load.ts";
import { ProblemNote } from "../parts/notes.tsx";

const TICK_MS = 250;

/** The milliseconds that are left of an entry, counting down; `undefined` = it never expires. */
export function useLeftMs(entry: SeenEntry | undefined): number | undefined {
  const [nowMs, setNowMs] = useState(() => performance.now());
  const expires = entry?.ttlMs !== undefined;
  useEffect(() => {
    if (!expires) {
      return;
    }
    const timer = setInterval(() => setNowMs(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [expires]);
  return entry && leftMs(entry, Math.max(nowMs, entry.seenAtMs));
}

/** When an entry expires, in words. */
export function expiryOf(left: number | undefined): string {
  if (left === undefined) {
    return "never expires";
  }
  return left === 0 ? "expired" : `expires in ${formatDuration(Math.max(1000, left))}`;
}

/** A field for a time to live in whole seconds; empty = never. */
export function TtlField({ value }: { readonly value?: number | undefined }) {
  return (
    <label class="ttl">
      Expires in{" "}
      <input
        name="ttl"
        type="number"
        min="1"
        step="1"
        inputMode="numeric"
        placeholder="never"
        defaultValue={value === undefined ? "" : String(value)}
      />{" "}
      seconds
    </label>
  );
}

/** What a {@link TtlField} of a form says; `undefined` = never. */
export function ttlOf(form: HTMLFormElement): number | undefined {
  const text = String(new FormData(form).get("ttl") ?? "");
  return text === "" ? undefined : Number(text);
}

/** Lets an entry expire at another time, or never. */
export function ChangeExpiry({
  left,
  change,
  onClose,
}: {
  readonly left: number | undefined;
  readonly change: (ttlSeconds: number | undefined) => Promise<void>;
  readonly onClose: () => void;
}) {
  const changing = useAction(change);
  return (
    <form
      class="change-expiry"
      onSubmit={async (event) => {
        event.preventDefault();
        if (await changing.run(ttlOf(event.currentTarget))) {
          onClose();
        }
      }}
    >
      <TtlField value={left && Math.ceil(left / 1000)} />
      <button type="submit" class="main" disabled={changing.isRunning}>
        Set
      </button>
      <button type="button" onClick={onClose}>
        Cancel
      </button>
      <ProblemNote problem={changing.problem} />
    </form>
  );
}
