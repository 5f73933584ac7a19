import { CALL_OPTIONS, type CallOptions } from "./call.ts";
import { toText } from "./convert.ts";

/** Which names come. A range is what `start`, `end` and `prefix` have in common. */
export interface NameOptions extends CallOptions {
  /** The least name. Absent or "": there is no least. */
  readonly start?: string | undefined;
  /** The range ends before this name. Absent or "": there is no end. */
  readonly end?: string | undefined;
  /** The beginning of the names. Absent or "": any. */
  readonly prefix?: string | undefined;
}

/** The names of {@link NameOptions}. */
export const NAME_OPTIONS = { start: true, end: true, prefix: true, ...CALL_OPTIONS } satisfies Record<
  keyof NameOptions,
  true
>;

const NO_TOKEN = new Uint8Array(0);

/** The request for a page of a range. */
export function toPageRequest(
  namespace: string,
  { start = "", end = "", prefix = "" }: NameOptions,
  pageToken: Uint8Array,
) {
  return {
    namespace,
    start: toText("start", start),
    end: toText("end", end),
    prefix: toText("prefix", prefix),
    pageToken,
  };
}

/** All pages. The next one is asked for while the loop has this one. */
export async function* readPages<Page extends { readonly nextPageToken: Uint8Array }>(
  read: (pageToken: Uint8Array) => Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let coming: Promise<Page> | undefined = read(NO_TOKEN);
  while (coming !== undefined) {
    const page: Page = await coming;
    coming = page.nextPageToken.length === 0 ? undefined : read(page.nextPageToken);
    // A loop that is left does not wait for it.
    coming?.catch(() => {});
    yield page;
  }
}
