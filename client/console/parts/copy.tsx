import { useState } from "preact/hooks";
import type { Snippets } from "../data/snippets.ts";
import { Choice } from "./choice.tsx";
import { tell } from "./toasts.tsx";

/** Puts text on the clipboard and says so. Where the browser forbids that, it says what to do. */
export async function copy(text: string, what = "Copied"): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    tell(what);
  } catch {
    tell("The browser does not let the page copy: select the text and copy it");
  }
}

/** A line of code and a button that copies it. */
export function CopyText({ text }: { readonly text: string }) {
  return (
    <div class="copy-text">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long line scrolls, by the keyboard too */}
      <pre tabIndex={0}>{text}</pre>
      <button type="button" onClick={() => copy(text)}>
        Copy
      </button>
    </div>
  );
}

const WAYS = [
  ["curl", "curl"],
  ["cli", "Command line"],
  ["typescript", "TypeScript"],
] as const;

/** Shows what is on the page as a command or code, to copy. */
export function CopyAs({ snippets }: { readonly snippets: Snippets }) {
  const [way, setWay] = useState<keyof Snippets>("curl");
  return (
    <details class="copy-as">
      <summary>Copy as …</summary>
      <Choice label="Copy as" names={WAYS} chosen={way} onChoose={setWay} />
      <CopyText text={snippets[way]} />
    </details>
  );
}
