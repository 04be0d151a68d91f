/**
 * The limits that the store's scripts share with TypeScript, and those of scripts alone. A script receives one by
 * `--@limit NAME` (`npm run generate`); the check refuses literal figures in scripts.
 */

/** The number of chat messages in a snapshot. */
export const SNAPSHOT_CHAT_LENGTH = 100;
/** The size of the chat that a room keeps and a snapshot contains, in bytes; the oldest messages are dropped first. */
export const MAX_CHAT_BYTES = 262_144;
/** The number of events that a room's log keeps; a client that missed more gets a snapshot. */
export const EVENT_LOG_LENGTH = 1_000;
/**
 * The size of the events in one catch-up, in bytes; a client that missed more gets a snapshot. It is below the amount
 * that may wait for a slow client (SPEC RL7), which would otherwise be disconnected at each resume.
 */
export const MAX_CATCH_UP_BYTES = 2_097_152;
/** The size of the events that a room's log keeps, in bytes: events that do not fit into one answer are not kept. */
export const MAX_EVENT_LOG_BYTES = MAX_CATCH_UP_BYTES;
/** The overhead of an entry of the log in Redis, in bytes: ids and field names. */
export const EVENT_LOG_ENTRY_BYTES = 64;
/** The number of log entries that are dropped together in Redis, so that a long log is not trimmed at each event. */
export const EVENT_LOG_TRIM_STEP = 50;
/** The digits of each part of an event id that a room gives: no clock and no counter needs more. */
export const EVENT_ID_DIGITS = 15;
/** The highest number that scripts read; a double represents it exactly. */
export const HIGHEST_WHOLE = 9_007_199_254_740_000;

/** The interval of republications by owners, in milliseconds. */
export const REPUBLISH_INTERVAL_MS = 1_500;
/** How long a room that lost writes counts as being rebuilt, in milliseconds. */
export const ROOM_REBUILD_MS = 2 * REPUBLISH_INTERVAL_MS;
/** How long the keys of a room stay after the last renewal by an edge, in milliseconds. */
export const ROOM_KEPT_MS = 600_000;
/** How long the log of a room stays after its last peer was removed, in milliseconds. */
export const FAREWELL_KEPT_MS = 15_000;
/**
 * The number of tombstones of peers and tracks that a room keeps, so that no owner brings them back (SPEC RC4, RC19).
 * In Redis the older half is dropped together (`lua/includes/tombstones.lua`).
 */
export const MAX_TOMBSTONES = 2_000;

/**
 * How long a slice that was returned or has lapsed is not leased again, in milliseconds: the client of a dead node
 * keeps sending to its ports until its consent expires, for which ICE allows 30 s (RFC 7675).
 */
export const SLICE_REST_MS = 30_000;

/** The size of all entries of a room, values and names, in bytes; a snapshot of the room contains them. */
export const MAX_ROOM_ENTRY_BYTES = 131_072;
/** The number of entries of one peer, including the deleted ones that are remembered. */
export const MAX_ENTRIES_OF_PEER = 64;
/** The number of the room's own deleted entries that are remembered; beyond it the older half is forgotten. */
export const MAX_ENTRY_TOMBSTONES = 512;
/** The modulus of the sum of versions: scripts add them as doubles, exactly. */
export const ENTRY_SUM_MODULUS = 1_099_511_627_776;
