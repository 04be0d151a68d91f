/**
 * The version that a client names when it enters. It grows only if an older client would misunderstand what it reads
 * or send what is wrong now; additions that it may ignore do not change it (docs/protocol.md, "Versions").
 */
export const PROTOCOL_VERSION = 1;

/** The versions that an edge serves: the newest, and the one before it for as long as docs/protocol.md promises. */
export const SERVED_PROTOCOL_VERSIONS: readonly number[] = [PROTOCOL_VERSION];
