import { useEffect, useMemo, useState } from "preact/hooks";
import { imageTypeOf, textOf, toHex, visibleLines } from "../data/bytes.ts";
import { indentJson, type Mode, modesOf, UNASKED_BYTES } from "../data/draft.ts";
import { formatBytes } from "../data/format.ts";
import { Choice } from "./choice.tsx";
import "./value.css";

/** What the ways to show a value are called. */
const MODE_NAMES: Readonly<Record<Mode, string>> = {
  text: "Text",
  json: "JSON",
  hex: "Hex",
  image: "Image",
};

/** As hexadecimal digits a value is shown up to here: they take three times its bytes. */
const MAX_HEX_BYTES = 1024 * 1024;

/** So many times as much is shown at each wish for more: a page that gets slow is no surprise. */
const MORE = 4;

/** Shows a value in the way that suits it, or in another one of its ways. */
export function ValueView({ bytes }: { readonly bytes: Uint8Array<ArrayBuffer> }) {
  const modes = useMemo(() => modesOf(bytes), [bytes]);
  const [asked, setAsked] = useState<Mode>(modes[0]);
  const mode = modes.includes(asked) ? asked : modes[0];
  return (
    <div class="value">
      {modes.length > 1 && (
        <Choice
          label="Show the value as"
          names={modes.map((way) => [way, MODE_NAMES[way]] as const)}
          chosen={mode}
          onChoose={setAsked}
        />
      )}
      {mode === "image" ? <Picture bytes={bytes} /> : <Characters key={mode} bytes={bytes} mode={mode} />}
    </div>
  );
}

function Characters({
  bytes,
  mode,
}: {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mode: Exclude<Mode, "image">;
}) {
  const [shownBytes, setShownBytes] = useState(UNASKED_BYTES);
  const shown = useMemo(() => charactersOf(bytes, mode, shownBytes), [bytes, mode, shownBytes]);
  if (bytes.length === 0) {
    return <p class="quiet">The value is empty: it has no bytes.</p>;
  }
  const most = mode === "hex" ? MAX_HEX_BYTES : Number.POSITIVE_INFINITY;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, by the keyboard too */}
      <section class="shown" tabIndex={0} aria-label="Value">
        <pre>{shown}</pre>
      </section>
      {bytes.length > shownBytes && (
        <p class="quiet">
          The first {formatBytes(shownBytes)} of {formatBytes(bytes.length)} are shown.{" "}
          {shownBytes < most ? (
            <button type="button" onClick={() => setShownBytes(MORE * shownBytes)}>
              Show more
            </button>
          ) : (
            "Download it to see all."
          )}
        </p>
      )}
    </>
  );
}

function charactersOf(bytes: Uint8Array<ArrayBuffer>, mode: Exclude<Mode, "image">, most: number): string {
  if (mode === "hex") {
    return toHex(bytes.subarray(0, most));
  }
  const text = textOf(bytes) ?? "";
  // JSON is indented as a whole: a part of it is none.
  return visibleLines((mode === "json" ? indentJson(text) : text).slice(0, most));
}

/** A picture. The browser draws it from the bytes: nothing is loaded, and nothing in it runs. */
function Picture({ bytes }: { readonly bytes: Uint8Array<ArrayBuffer> }) {
  const [size, setSize] = useState<string | undefined>(undefined);
  const url = useObjectUrl(bytes, imageTypeOf(bytes) ?? "application/octet-stream");
  return (
    <figure class="picture">
      {url !== undefined && (
        <img
          src={url}
          alt="The value, drawn"
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
            setSize(`${naturalWidth} × ${naturalHeight} pixels`)
          }
          onError={() => setSize("The browser cannot draw this picture: it may be cut off.")}
        />
      )}
      <figcaption class="quiet" aria-live="polite">
        {size}
      </figcaption>
    </figure>
  );
}

/** An address of bytes within the page. `undefined` = there is none yet. */
function useObjectUrl(bytes: Uint8Array<ArrayBuffer>, type: string): string | undefined {
  const [url, setUrl] = useState<string | undefined>(undefined);
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes, type]);
  return url;
}

/** Lets the browser save bytes as a file. */
export function download(bytes: Uint8Array<ArrayBuffer>, name: string): void {
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser has the bytes by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
