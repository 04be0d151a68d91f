/** The headless Plenary client: everything a meeting needs except a user interface. Knows no React. */
export { RETRY_BACKOFF, fullJitterMs } from './backoff.ts';
export { isActive, type ConnectionPhase, type ConnectionState } from './connection-state.ts';
export type { ClientLog, Counters } from './counters.ts';
export { PlenaryError, type ErrorCode } from '@plenary/cluster/errors';
export { errorForPeople, isKeptUnreadable, type PersonReadableError } from './errors-for-people.ts';
export { JOIN_STEPS, type JoinStep, type JoinTimings } from './join-timings.ts';
export { LARGEST_SCREEN } from './large-pictures.ts';
export type {
  MediaState,
  MeetingEvents,
  MeetingOptions,
  MeetingSnapshot,
  Self,
  TokenGrant,
} from './meeting-types.ts';
export type { MediaFlow } from './media-silence.ts';
export { Meeting, createMeeting } from './meeting.ts';
export type { OutgoingChat } from './chat-outbox.ts';
export type { WantedVideo } from './plan-subscriptions.ts';
export type { LocalTrack, TrackStopReason } from './publication.ts';
export type { ProbePort } from './probe-port.ts';
export type { RejoinTicketStore, RejoinTicket } from './rejoin.ts';
export { browserRejoinTicketStore } from './browser-rejoin.ts';
export { entriesOfKind } from './known-entries.ts';
export type { RoomState } from './room-state.ts';
export { createSessionKey, restoreSessionKey, type SessionKey } from './session-key.ts';
export type { SignallingConnection, SignallingHandlers, SignallingPort } from './signalling-port.ts';
export { createSocketSignalling, socketSignalling, type SocketOrigin } from './socket-signalling.ts';
export type { MeetingStats, ReceivedTrackStats, SentTrackStats } from './stats.ts';
export { Store, type ReadableStore } from './store.ts';
export type { RemoteTrack } from './remote-tracks.ts';
