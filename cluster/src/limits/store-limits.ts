/**
 * The limits that scripts of the store and TypeScript share, and those of scripts alone. A script gets one by `--@limit NAME`
 * (`npm run generate`), and has no figure of its own; the check refuses one.
 */

/** Chat messages that a snapshot carries. */
export const SNAPSHOT_CHAT_LENGTH = 100;
/** Bytes of chat that a room keeps, and so a snapshot carries; the oldest messages go first. */
export const MAX_CHAT_BYTES = 262_144;
/** Events that a room's log keeps; who missed more gets a snapshot. */
export const EVENT_LOG_LENGTH = 1_000;
/**
 * Bytes of events that one catching up carries; who missed more gets a snapshot. Below what may wait for a slow client
 * (SPEC RL7), which would else be cut off each time it resumes.
 */
export const MAX_CATCH_UP_BYTES = 2_097_152;
/** Bytes of events that a room's log keeps: what nobody can be given in one answer is not kept. */
export const MAX_EVENT_LOG_BYTES = MAX_CATCH_UP_BYTES;
/** What an entry of the log in Redis counts beside what is in it, in bytes: ids and field names. */
export const EVENT_LOG_ENTRY_BYTES = 64;
/** Entries of the log in Redis that are dropped together, so that a long log is not trimmed at each event. */
export const EVENT_LOG_TRIM_STEP = 50;
/** Digits of each part of an event's id that a room gives: neither a clock nor a count of this world has more. */
export const EVENT_ID_DIGITS = 15;
/** The highest number that scripts read: a double holds it, and some more, exactly. */
export const HIGHEST_WHOLE = 9_007_199_254_740_000;

/** How often owners publish again what they own, in milliseconds. */
export const REPUBLISH_INTERVAL_MS = 1_500;
/** How long a room that lost writes counts as being rebuilt, in milliseconds. */
export const ROOM_REBUILD_MS = 2 * REPUBLISH_INTERVAL_MS;
/** How long the keys of a room stay that no edge keeps, in milliseconds. */
export const ROOM_KEPT_MS = 600_000;
/** How long the log of a room stays whose last peer was put out, in milliseconds. */
export const FAREWELL_KEPT_MS = 15_000;
/**
 * Peers that left and tracks that ended, at most, that a room remembers so that no owner brings them back (SPEC RC4, RC19). In Redis
 * the older half goes at once (`lua/includes/tombstones.lua`).
 */
export const MAX_TOMBSTONES = 2_000;

/**
 * A slice that was given back or has lapsed is not leased again for so long, in milliseconds: a client whose node is gone
 * goes on sending to its ports until its consent expires, which ICE allows 30 s for (RFC 7675).
 */
export const SLICE_REST_MS = 30_000;

/** Bytes of all entries of a room, values and names, which a snapshot of the room carries. */
export const MAX_ROOM_ENTRY_BYTES = 131_072;
/** Entries of one peer, the deleted ones among them as long as they are remembered. */
export const MAX_ENTRIES_OF_PEER = 64;
/** Deleted entries of the room itself that are remembered; of too many the older half is forgotten. */
export const MAX_ENTRY_TOMBSTONES = 512;
/** Sums of versions are taken by this modulus: scripts add them as doubles, exactly. */
export const ENTRY_SUM_MODULUS = 1_099_511_627_776;
