import { signal } from "@preact/signals";

/** What the page shows, as its address says behind `#`: `#/ns/orders/keys?key=a%2Fb`. */
export interface Route {
  /** The parts between slashes, decoded; [] = the overview. */
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** The route that is shown. */
export const route = signal<Route>(parse(globalThis.location?.hash ?? ""));

/** Asks before a view is left that has unsaved edits. `undefined` = nothing is unsaved. */
let mayLeave: (() => Promise<boolean>) | undefined;
let shownHash = globalThis.location?.hash ?? "";

/** The address of a route. Fields of `query` that are undefined or "" are left out. */
export function hrefOf(path: readonly string[], query: Route["query"] = {}): string {
  const fields = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return `#/${path.map(encodeURIComponent).join("/")}${fields.length === 0 ? "" : `?${fields.join("&")}`}`;
}

/** Shows a route. `replace` = the Back button does not come back to what is shown now. */
export function go(href: string, { replace = false } = {}): void {
  if (replace) {
    history.replaceState(undefined, "", href);
    show(href);
  } else {
    location.hash = href;
  }
}

/**
 * Lets `ask` decide whether what is shown may be left, until the returned function is called.
 * Closing the page asks in the browser's own words.
 */
export function guardEdits(ask: () => Promise<boolean>): () => void {
  mayLeave = ask;
  addEventListener("beforeunload", keepOpen);
  return () => {
    if (mayLeave === ask) {
      mayLeave = undefined;
      removeEventListener("beforeunload", keepOpen);
    }
  };
}

/** Follows the address from now on. */
export function followAddress(): void {
  addEventListener("hashchange", async () => {
    const asked = location.hash;
    if (asked === shownHash) {
      return;
    }
    if (mayLeave !== undefined) {
      history.replaceState(undefined, "", shownHash);
      if (!(await mayLeave())) {
        return;
      }
      history.pushState(undefined, "", asked);
    }
    show(asked);
  });
}

function keepOpen(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

function show(hash: string): void {
  shownHash = hash;
  route.value = parse(hash);
}

function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const fields = query.split("&").filter((field) => field !== "");
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decode),
    query: Object.fromEntries(
      fields.map((field) => {
        const [name = "", value = ""] = field.split(/=(.*)/s);
        return [decode(name), decode(value)];
      }),
    ),
  };
}

/** Somebody may have typed the address. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
