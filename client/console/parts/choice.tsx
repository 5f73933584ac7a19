/** Buttons of which one is pressed: one of a few ways to look at the same thing. */
export function Choice<T extends string>({
  label,
  names,
  chosen,
  onChoose,
  isDisabled = false,
}: {
  readonly label: string;
  /** What each button says, in their order. */
  readonly names: readonly (readonly [choice: T, name: string])[];
  readonly chosen: T;
  readonly onChoose: (choice: T) => void;
  readonly isDisabled?: boolean;
}) {
  return (
    <fieldset class="tabs" aria-label={label}>
      {names.map(([choice, name]) => (
        <button
          key={choice}
          type="button"
          aria-pressed={choice === chosen}
          disabled={isDisabled && choice !== chosen}
          onClick={() => onChoose(choice)}
        >
          {name}
        </button>
      ))}
    </fieldset>
  );
}
