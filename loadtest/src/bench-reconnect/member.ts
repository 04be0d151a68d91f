import { toPlenaryError } from '@plenary/cluster/errors';
import type { PeerId } from '@plenary/cluster/protocol';
import { createMeeting, createSocketSignalling } from '@plenary/web/client';
import type { ConnectionState, Meeting } from '@plenary/web/client';
import { Device, testFakeParameters } from 'mediasoup-client';
import { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { makeJoinToken } from '../join-token.ts';
import type { ApiCredentials } from '../join-token.ts';

/** A busy cluster refuses and is asked again, as the web app does; to fill a large one takes longer than its 20 s. */
const JOIN_DEADLINE_MS = 120_000;

export interface MemberOptions {
  readonly credentials: ApiCredentials;
  readonly edgeUrls: readonly string[];
  readonly roomId: string;
  readonly name: string;
  /** The address of this machine that it comes from: an edge limits the sockets of one address. */
  readonly localAddress: string;
}

/** One time that the socket was lost, in milliseconds since 1970. */
export interface Gap {
  readonly lostAtMs: number;
  /** When the session was resumed; absent as long as it is not. */
  backAtMs?: number;
}

/** What a browser can decode, and how it opens transports; in one process all people have the same browser. */
const device = Device.factory({ handlerFactory: FakeHandler.createFactory(testFakeParameters) });

/** Milliseconds since 1970 by a clock that does not jump, comparable between processes of one machine. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/**
 * One person of the storm: the web app's own client, with mediasoup-client's stand-in for a browser in place of WebRTC.
 * So it is the real back-off, the real choice of edges and the real proofs that are seen, and no media flows.
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
      // One datacenter, nothing to measure.
      probing: { knownEdges: () => Promise.resolve([]), ping: () => Promise.resolve(0) },
      createDevice: () => device,
      joinDeadlineMs: JOIN_DEADLINE_MS,
      log: { warn: () => undefined },
    });
  }

  /** @throws PlenaryError what the join was refused with in the end */
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

  /** Why it is out for good. */
  get failure(): string | undefined {
    const { connection } = this.#meeting.getSnapshot();
    return connection.phase === 'failed' ? connection.error.code : undefined;
  }

  /** In the room as who it was, so that nobody saw it leave. */
  get isSame(): boolean {
    const { connection, self } = this.#meeting.getSnapshot();
    return connection.phase === 'joined' && self?.peerId === this.#peerId;
  }

  /** How often its media had to be opened anew, which an edge's death must not cause. */
  get mediaReopened(): number {
    return this.#meeting.counters.mediaReopened;
  }

  /** Messages of an edge that did not fit the protocol, and requests without an answer. */
  get faults(): { readonly malformed: number; readonly timedOut: number } {
    const { malformed, unknownNotices, timedOut } = this.#meeting.counters;
    return { malformed: malformed + unknownNotices, timedOut };
  }

  /** People whom it sees in the room, itself included. */
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

/** Joins and says how it went: in milliseconds, or by the error's code. */
export async function timedJoin(member: Member): Promise<number | string> {
  const startedMs = performance.now();
  try {
    await member.join();
    return performance.now() - startedMs;
  } catch (thrown) {
    return toPlenaryError(thrown).code;
  }
}
