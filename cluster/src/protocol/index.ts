/** The client–edge protocol and its parts: everything of the cluster that the web client may import. */
export * from '../features/index.ts';
export * from './client-edge.ts';
export * from './define.ts';
export * from './ids.ts';
export {
  EVENT_LOG_LENGTH,
  MAX_CATCH_UP_BYTES,
  MAX_CHAT_BYTES,
  MAX_EVENT_LOG_BYTES,
  SNAPSHOT_CHAT_LENGTH,
} from '../limits/store-limits.ts';
export * from './judge-media.ts';
export * from './media.ts';
export * from './media-codecs.ts';
export * from './room.ts';
export * from './room-entry.ts';
export * from './router-capabilities.generated.ts';
export * from './rtp.ts';
export * from './session-key.ts';
export * from './text.ts';
export * from './version.ts';
