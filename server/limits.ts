/**
 * Every fixed bound on what a caller can send, in one place. Bounds that an operator sets
 * (`limits:` in the configuration) have their defaults in `config/schema.ts`.
 */

/** Longest key (of an entry or a list) and longest scan prefix, in bytes of UTF-8. Keys have at least one. */
export const MAX_KEY_BYTES = 1024;

/** Longest life of an entry: 100 years of 365.25 days. Keeps every expiry time a safe integer of milliseconds. */
export const MAX_TTL_SECONDS = 3_155_760_000;

/** What a namespace may be called: 1 to 63 characters that need no escaping in a path, a metric or a table. */
export const NAMESPACE_PATTERN = /^[a-z][a-z0-9\-_.]{0,62}$/;

/** The namespace that an empty name on the wire means. */
export const DEFAULT_NAMESPACE = "default";

/** Most entries that one page of a scan holds. */
export const SCAN_PAGE_ENTRIES = 1024;

/** A page of a scan ends with the entry that takes its keys and values to this many bytes or more. */
export const SCAN_PAGE_BYTES = 256 * 1024;

/** How long a peer may take nothing of an answer that waits for it, before it is given up. */
export const STALL_TIMEOUT_MS = 120_000;

/** Connections that the kernel has accepted and Prism has not. The kernel's own bound holds too (Linux: `net.core.somaxconn`, 4,096 unless set). */
export const LISTEN_BACKLOG = 8192;

/** How long an HTTP/2 peer has to answer a ping before its connection counts as dead. */
export const PING_TIMEOUT_MS = 5_000;

/**
 * What a request may have besides its values (the contents of its `bytes` fields), in bytes: names, keys and what is around
 * them. A key of MAX_KEY_BYTES takes 6 KiB in JSON at most, where each of its bytes is escaped.
 */
export const MAX_AROUND_BYTES = 16 * 1024;

/** The same of a request that has many items, each of which counts as no less than {@link MIN_ITEM_BYTES}. */
export const MAX_AROUND_ITEMS_BYTES = 1024 * 1024;

/** What an item of a repeated field counts as besides its own bytes, since it costs time also where it has none. */
export const MIN_ITEM_BYTES = 64;

/** Node's timers hold 31 bits of milliseconds, 24.8 days, and take anything longer for 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** How deep messages, and in JSON what is in unknown fields, may lie in each other. */
export const MAX_MESSAGE_DEPTH = 32;
