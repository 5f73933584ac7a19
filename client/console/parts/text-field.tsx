/** A line of text that is taken as it is typed: a key, a name, an id. It must not be empty. */
export function TextField({
  label,
  value,
  onInput,
}: {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
}) {
  return (
    <label class="field">
      {label}
      <input
        class="mono"
        value={value}
        required
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}
