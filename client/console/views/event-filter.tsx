import { useState } from "preact/hooks";
import type { Tags } from "../../web.ts";
import { fieldOfTime, SPANS, type Span, tagsOf, tagText, timeOfField } from "../data/events.ts";
import { Choice } from "../parts/choice.tsx";

/** A span of time, to choose. */
export function SpanField({
  span,
  onChange,
}: {
  readonly span: Span;
  readonly onChange: (span: Span) => void;
}) {
  return (
    <>
      <Choice
        label="Events of the last"
        names={SPANS}
        chosen={span.name}
        onChoose={(name) => onChange({ name })}
      />
      {span.name === "between" && (
        <>
          <TimeField label="From" ms={span.fromMs} onChange={(fromMs) => onChange({ ...span, fromMs })} />
          <TimeField label="To" ms={span.toMs} onChange={(toMs) => onChange({ ...span, toMs })} />
        </>
      )}
    </>
  );
}

function TimeField({
  label,
  ms,
  onChange,
}: {
  readonly label: string;
  readonly ms: number | undefined;
  readonly onChange: (ms: number | undefined) => void;
}) {
  return (
    <label>
      {label}{" "}
      <input
        type="datetime-local"
        step="1"
        value={fieldOfTime(ms)}
        onChange={(event) => onChange(timeOfField(event.currentTarget.value))}
      />
    </label>
  );
}

/** The tags that events must have, and a field to add one. */
export function TagsField({
  tags,
  onChange,
}: {
  readonly tags: Tags;
  readonly onChange: (tags: Tags) => void;
}) {
  const [typed, setTyped] = useState("");
  const added = tagsOf(typed);
  const chosen = Object.entries(tags);
  return (
    <form
      class="bar event-tags"
      onSubmit={(event) => {
        event.preventDefault();
        if (added !== undefined && typed !== "") {
          onChange({ ...tags, ...added });
          setTyped("");
        }
      }}
    >
      {chosen.map((tag) => (
        <button
          key={tag[0]}
          type="button"
          class="mono tag"
          aria-label={`Not only ${tagText(tag)}`}
          title="Show events without it too"
          onClick={() => onChange(Object.fromEntries(chosen.filter(([name]) => name !== tag[0])))}
        >
          {tagText(tag)} ×
        </button>
      ))}
      <input
        class="mono"
        aria-label="Only events with the tag"
        placeholder="Only with the tag name=value"
        autocomplete="off"
        spellcheck={false}
        value={typed}
        aria-invalid={added === undefined}
        onInput={(event) => setTyped(event.currentTarget.value)}
      />
      <button type="submit" disabled={typed === "" || added === undefined}>
        Add tag
      </button>
    </form>
  );
}
