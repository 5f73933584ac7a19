/**
 * Every fixed bound on what a caller can send, in one place. Bounds that an operator sets
 * (`limits:`) have their defaults in `config/schema.ts`.
 */

/**
 * The longest key (of an entry or a list), the longest id of a record, the longest name of a stream
 * and the longest scan prefix, in bytes of UTF-8. A key, an id or a name has at least 1.
 */
export const MAX_KEY_BYTES = 1024;

/** The longest key of a record's item, in bytes of any kind. It has at least 1. */
export const MAX_ITEM_KEY_BYTES = 1024;

/** The longest metadata of an item, encoded, without its times and its time to live. */
export const MAX_ITEM_METADATA_BYTES = 1024;

/** The most items of a record that one answer holds. A scan is many answers. */
export const MAX_ANSWER_ITEMS = 10_000;

/** The most items that one step of deleting a whole record deletes. */
export const DELETE_STEP_ITEMS = 1024;

/**
 * The longest life of an entry: 100 years of 365.25 days. Keeps every expiry time a safe integer of
 * milliseconds.
 */
export const MAX_TTL_SECONDS = 3_155_760_000;

/** The most tags of an event. */
export const MAX_EVENT_TAGS = 64;

/** The most bytes of UTF-8 that the tags of an event have together, names and values. */
export const MAX_EVENT_TAGS_BYTES = 4096;

/** The most events of one append. */
export const MAX_APPEND_EVENTS = 1000;

/**
 * The latest time of an event, in milliseconds since 1970-01-01T00:00:00Z: the end of the year
 * 9999.
 */
export const MAX_EVENT_TIME_MS = 253_402_300_799_999;

/** Milliseconds in a day. */
export const DAY_MS = 86_400_000;

/** The longest retention of a stream, in days: about 100 years. */
export const MAX_RETENTION_DAYS = 36_500;

/** The most partitions that a stream may be created with. */
export const MAX_STREAM_PARTITIONS = 1000;

/** The most copies that a stream may be created with. */
export const MAX_STREAM_REPLICAS = 100;

/** The most tags by which Aggregate tells groups apart. */
export const MAX_GROUP_TAGS = 8;

/** The most rows of one answer of Aggregate. */
export const MAX_SUM_ROWS = 10_000;

/** The most characters in the names and values of the groups of all rows. */
export const MAX_SUM_NAMES_LENGTH = 4 * 1024 * 1024;

/** The most bins that the groups of one bucket of Aggregate have for quantiles, about 40 MB. */
export const MAX_SUM_BINS = 1_000_000;

/** The longest time that a call may ask to wait for a value of a list. */
export const MAX_WAIT_MS = 5 * 60_000;

/** The longest time that an operator may ask to wait for calls under way. */
export const MAX_DRAIN_WAIT_MS = 10 * 60_000;

/** A namespace's name: 1 to 63 characters that need no escaping in a path, a metric or a table. */
export const NAMESPACE_PATTERN = /^[a-z][a-z0-9\-_.]{0,62}$/;

/** The namespace for an empty name on the wire. */
export const DEFAULT_NAMESPACE = "default";

/**
 * The most callers whose quotas are counted at the same time, besides those with calls under way.
 * One that was quiet long enough loses nothing by being forgotten.
 */
export const MAX_METERED_CALLERS = 10_000;

/** The most keys, items or mutations of one call. It has at least 1 of what it is about. */
export const MAX_CALL_ITEMS = 1000;

/** The most checks of one commit. */
export const MAX_COMMIT_CHECKS = 100;

/**
 * The most keys of one call that are read before the size of their values is looked at. It bounds
 * the memory of a call whose values turn out to be too large together.
 */
export const READ_SLICE_KEYS = 128;

/** The same where values were large of late: reading them in vain holds up other calls. */
export const MIN_READ_SLICE_KEYS = 16;

/** The most entries in one page of a scan. */
export const SCAN_PAGE_ENTRIES = 1024;

/** A page of a scan ends with the entry that brings keys and values to this many bytes or more. */
export const SCAN_PAGE_BYTES = 256 * 1024;

/**
 * A step that removes data of a namespace ends with the value that takes it to this many bytes, in
 * stores that visit every page of the large values that they remove.
 */
export const ERASE_STEP_BYTES = 8 * 1024 * 1024;

/** How long a peer may take nothing of a waiting answer before it is given up. */
export const STALL_TIMEOUT_MS = 120_000;

/**
 * The most connections that the kernel has accepted and Prism has not. The kernel's own bound holds
 * too (Linux: `net.core.somaxconn`, 4,096 by default).
 */
export const LISTEN_BACKLOG = 8192;

/** How long an HTTP/2 peer may take to answer a ping before its connection counts as dead. */
export const PING_TIMEOUT_MS = 5_000;

/**
 * The most bytes of a request besides its values (the contents of its `bytes` fields): names, keys
 * and framing. A key of MAX_KEY_BYTES takes at most 6 KiB in JSON, when every byte is escaped.
 */
export const MAX_AROUND_BYTES = 16 * 1024;

/**
 * The same for a request with many items. Each item counts as at least {@link MIN_ITEM_BYTES}. Room
 * for a commit with MAX_CALL_ITEMS mutations and MAX_COMMIT_CHECKS checks whose keys have
 * MAX_KEY_BYTES and are not escaped in JSON.
 */
export const MAX_AROUND_ITEMS_BYTES = 1.5 * 1024 * 1024;

/**
 * What an item of a repeated field counts besides its own bytes, because even an empty item costs
 * time.
 */
export const MIN_ITEM_BYTES = 64;

/** Node's timers hold 31 bits of milliseconds, 24.8 days. A longer time would fire after 1 ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** How deep messages may be nested, and unknown fields in JSON. */
export const MAX_MESSAGE_DEPTH = 32;
