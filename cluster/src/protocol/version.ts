/**
 * The number that a client names when it enters. It grows only where an older client would be wrong about what it reads or
 * sends; what it may ignore is added without (docs/protocol.md, "Versions").
 */
export const PROTOCOL_VERSION = 1;

/** What an edge serves: the newest version, and the one before it for as long as the page promises. */
export const SERVED_PROTOCOL_VERSIONS: readonly number[] = [PROTOCOL_VERSION];
