import type { ComponentChildren } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

/** Rows above and below the window that are drawn too, so that scrolling shows no gaps. */
const SPARE_ROWS = 8;

/**
 * Browsers draw no element that is much higher than 33 million pixels (Chromium: 2^25 - 1). Longer
 * lists are drawn in this height, and a step of the scroll bar is more rows.
 */
const MAX_HEIGHT_PX = 16_000_000;

/** What {@link Rows} needs. */
export interface RowsProps {
  readonly label: string;
  /** How many rows there are. It may grow. */
  readonly count: number;
  readonly rowHeightPx: number;
  /** The row that the keyboard is on; -1 = none. */
  readonly current: number;
  readonly onCurrent: (index: number) => void;
  /** Whether a row is what is shown elsewhere. Absent: the current one is. */
  readonly isChosen?: (index: number) => boolean;
  /** Enter or a click. */
  readonly onOpen: (index: number) => void;
  /** Called with the rows that are seen, `to` exclusive, whenever they change. */
  readonly onSeen?: (from: number, to: number) => void;
  /** Whether who looks at the last row goes on to look at the last one when rows come. */
  readonly staysAtEnd?: boolean;
  readonly children: (index: number) => ComponentChildren;
}

/**
 * A list of any length, of which only the rows in sight are drawn. It is a listbox: arrows, Page
 * Up and Down, Home and End move, Enter opens.
 */
export function Rows({
  label,
  count,
  rowHeightPx,
  current,
  onCurrent,
  isChosen = (index) => index === current,
  onOpen,
  onSeen,
  staysAtEnd = false,
  children,
}: RowsProps) {
  const box = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  const id = useId();
  const [scrollPx, setScrollPx] = useState(0);
  const [windowPx, setWindowPx] = useState(600);
  const fullPx = count * rowHeightPx;
  const heightPx = Math.min(fullPx, MAX_HEIGHT_PX);
  const scrollable = Math.max(1, heightPx - windowPx);
  /** Where the window is in the full height. */
  const topPx = fullPx === heightPx ? scrollPx : (scrollPx / scrollable) * (fullPx - windowPx);
  const inSight = Math.ceil(windowPx / rowHeightPx);
  const first = Math.max(0, Math.floor(topPx / rowHeightPx));
  const from = Math.max(0, first - SPARE_ROWS);
  const to = Math.min(count, first + inSight + SPARE_ROWS);
  /** How far the drawn rows are from the scroll bar's own place for them. */
  const shiftPx = scrollPx - topPx;

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) {
      return;
    }
    const sizes = new ResizeObserver(() => setWindowPx(element.clientHeight));
    sizes.observe(element);
    return () => sizes.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (staysAtEnd && isAtEnd.current) {
      box.current?.scrollTo({ top: box.current.scrollHeight });
    }
  }, [staysAtEnd, count, windowPx]);
  useEffect(() => onSeen?.(from, to), [from, to]);

  function scrollTo(index: number): void {
    const element = box.current;
    if (element === null) {
      return;
    }
    const rowPx = index * rowHeightPx;
    if (rowPx < topPx || rowPx + rowHeightPx > topPx + windowPx) {
      const wantedPx = Math.max(0, rowPx < topPx ? rowPx : rowPx + rowHeightPx - windowPx);
      element.scrollTop =
        fullPx === heightPx ? wantedPx : (wantedPx / Math.max(1, fullPx - windowPx)) * scrollable;
    }
  }

  function move(event: KeyboardEvent): void {
    const steps: Readonly<Record<string, number>> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + inSight - 1,
      PageUp: current - inSight + 1,
      Home: 0,
      End: count - 1,
    };
    const next = steps[event.key];
    if (next !== undefined && count > 0) {
      event.preventDefault();
      const index = Math.min(count - 1, Math.max(0, next));
      onCurrent(index);
      scrollTo(index);
    } else if (event.key === "Enter" && current >= 0) {
      event.preventDefault();
      onOpen(current);
    }
  }

  const rows = [];
  for (let index = from; index < to; index++) {
    rows.push(
      // biome-ignore lint/a11y/useKeyWithClickEvents: the list has the keyboard
      // biome-ignore lint/a11y/useFocusableInteractive: the list has the focus, and it outlives the row
      <div
        key={index}
        id={`${id}-${index}`}
        class={index === current ? "row current" : "row"}
        role="option"
        aria-selected={isChosen(index)}
        aria-posinset={index + 1}
        aria-setsize={count}
        style={{ height: `${rowHeightPx}px`, transform: `translateY(${index * rowHeightPx + shiftPx}px)` }}
        onClick={() => {
          box.current?.focus({ preventScroll: true });
          onCurrent(index);
          onOpen(index);
        }}
      >
        {children(index)}
      </div>,
    );
  }
  return (
    <div
      ref={box}
      class="rows"
      role="listbox"
      aria-label={label}
      aria-activedescendant={current >= from && current < to ? `${id}-${current}` : undefined}
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, clientHeight, scrollHeight } }) => {
        setScrollPx(scrollTop);
        isAtEnd.current = scrollTop + clientHeight > scrollHeight - rowHeightPx;
      }}
      onKeyDown={move}
    >
      <div role="presentation" style={{ height: `${heightPx}px`, position: "relative" }}>
        {rows}
      </div>
    </div>
  );
}
