import { toPlenaryError } from '@plenary/cluster/errors';
import type { PeerId } from '@plenary/cluster/protocol';
import { createMeeting, createSocketSignalling } from '@plenary/web/client';
import type { ConnectionState, Meeting } from '@plenary/web/client';
import { Device, testFakeParameters } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { makeJoinToken } from '../join-token.ts';
import type { ApiCredentials } from '../join-token.ts';

/** How long a refused join is retried, in milliseconds: to fill a large cluster takes longer than the web app's 20 s. */
const JOIN_DEADLINE_MS = 120_000;

export interface MemberOptions {
  readonly credentials: ApiCredentials;
  readonly edgeUrls: readonly string[];
  readonly roomId: string;
  readonly name: string;
  /** The address of this machine to connect from, because an edge limits the sockets of one address. */
  readonly localAddress: string;
}

/** One loss of the socket, with times in milliseconds since 1970. */
export interface Gap {
  readonly lostAtMs: number;
  /** When the session was resumed; absent until then. */
  backAtMs?: number;
}

/** The browser's capabilities and transports; all people of one process have the same browser. */
const device = Device.factory({ handlerFactory: FakeHandler.createFactory(testFakeParameters) });

/** Milliseconds since 1970 by a monotonic clock, comparable between processes of one machine. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/**
 * One person of the storm: the web app's own client, with mediasoup-client's fake browser handler instead of WebRTC.
 * The benchmark therefore shows the real back-off, choice of edges and proofs, while no media flows.
 */
export class Member {
  readonly gaps: Gap[] = [];
  readonly #meeting: Meeting;
  #peerId: PeerId | undefined;
  #state: ConnectionState = { phase: 'idle' };

  constructor({ credentials, edgeUrls, roomId, name, localAddress }: MemberOptions) {
    this.#meeting = createMeeting({
      edgeUrls,
      roomId,
      getToken: () => Promise.resolve(makeJoinToken(credentials, { subject: name, roomId })),
      signalling: createSocketSignalling({ localAddress }),
      // There is one datacenter, so no round trip has to be measured.
      probing: { knownEdges: () => Promise.resolve([]), ping: () => Promise.resolve(0) },
      createDevice: () => device,
      joinDeadlineMs: JOIN_DEADLINE_MS,
      log: { warn: () => undefined },
    });
  }

  /** @throws PlenaryError the join's final error */
  async join(): Promise<void> {
    await this.#meeting.join();
    const { self, connection } = this.#meeting.getSnapshot();
    this.#peerId = self?.peerId;
    this.#state = connection;
    this.#meeting.subscribe(() => this.#note(this.#meeting.getSnapshot().connection));
  }

  get phase(): ConnectionState['phase'] {
    return this.#meeting.getSnapshot().connection.phase;
  }

  /** The error with which it failed permanently. */
  get failure(): string | undefined {
    const { connection } = this.#meeting.getSnapshot();
    return connection.phase === 'failed' ? connection.error.code : undefined;
  }

  /** Whether it is in the room with the same peer, so that nobody saw it leave. */
  get isSame(): boolean {
    const { connection, self } = this.#meeting.getSnapshot();
    return connection.phase === 'joined' && self?.peerId === this.#peerId;
  }

  /** How often its media session was reopened, which an edge's death must not cause. */
  get mediaReopened(): number {
    return this.#meeting.counters.mediaReopened;
  }

  /** Malformed messages of an edge, and requests without an answer. */
  get faults(): { readonly malformed: number; readonly timedOut: number } {
    const { malformed, unknownNotices, timedOut } = this.#meeting.counters;
    return { malformed: malformed + unknownNotices, timedOut };
  }

  /** The number of people that it sees in the room, including itself. */
  get peersSeen(): number {
    return this.#meeting.getSnapshot().room.peers.size;
  }

  async leave(): Promise<void> {
    await this.#meeting.leave();
  }

  #note(state: ConnectionState): void {
    if (state.phase === this.#state.phase) return;
    this.#state = state;
    if (state.phase === 'reconnecting') this.gaps.push({ lostAtMs: nowMs() });
    const gap = this.gaps.at(-1);
    if (state.phase === 'joined' && gap !== undefined) gap.backAtMs ??= nowMs();
  }
}

/** Joins. @returns how long it took in milliseconds, or the error's code */
export async function timedJoin(member: Member): Promise<number | string> {
  const startedMs = performance.now();
  try {
    await member.join();
    return performance.now() - startedMs;
  } catch (thrown) {
    return toPlenaryError(thrown).code;
  }
}
