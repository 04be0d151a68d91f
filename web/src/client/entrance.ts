import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import {
  PROTOCOL_VERSION,
  type ClientReply,
  type Epoch,
  type EventId,
  type RoomName,
  type RoundTrip,
  type Session,
} from '@plenary/cluster/protocol';
import type { EnterMode } from './connection.ts';
import type { JoinClock } from './join-timings.ts';
import type { MeetingOptions, TokenGrant } from './meeting-types.ts';
import { newRequestId } from './request-edge.ts';
import type { EdgeLink } from './rpc.ts';
import { createSessionKey, type SessionKey } from './session-key.ts';
import { mediaRequest, type WarmMedia } from './warm-up.ts';

export interface EntranceEnvironment {
  readonly options: MeetingOptions;
  readonly roomId: RoomName;
  readonly displayName: () => string | undefined;
  readonly lastEventId: () => EventId;
  /** Of the media in use; `undefined` while there is none. */
  readonly mediaEpoch: () => Epoch | undefined;
  readonly warm: () => Promise<WarmMedia>;
  /** What was measured of the datacenters so far. */
  readonly roundTrips: () => Promise<readonly RoundTrip[]>;
  readonly edgesKnown: (urls: readonly string[]) => void;
  /** A join is about to be sent: what arrives from now on belongs to the new session. */
  readonly joining: () => void;
  readonly joined: (link: EdgeLink, reply: ClientReply<'join'>, warm: WarmMedia) => void;
  readonly resumed: (link: EdgeLink, reply: ClientReply<'resume'>) => void;
  readonly clock: JoinClock;
}

/** Enters the room on a connection: by a join, or by taking the session up again. Holds the session. */
export class Entrance {
  readonly #environment: EntranceEnvironment;
  #session: Session | undefined;
  /** Made by the first attempt to join; the repeats and resumes of one session have one key. */
  #key: Promise<SessionKey> | undefined;
  #joinRequestId = newRequestId();
  #needsFreshToken = false;

  constructor(environment: EntranceEnvironment) {
    this.#environment = environment;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Begins a join that is no repeat of an earlier one. */
  startAnew(): void {
    this.#session = undefined;
    this.#key = undefined;
    this.#joinRequestId = newRequestId();
  }

  /** Makes the key of the session that is to be joined. @throws PlenaryError `insecure_context` */
  warm(): Promise<SessionKey> {
    this.#key ??= createSessionKey();
    return this.#key;
  }

  /** The edge gave a newer token for the next resume. */
  renew(sessionToken: string): void {
    if (this.#session !== undefined) this.#session = { ...this.#session, sessionToken };
  }

  /** @throws PlenaryError what the edge refused with; `insecure_context` */
  async enter(link: EdgeLink, mode: EnterMode): Promise<void> {
    if (mode === 'resume' && this.#session !== undefined) {
      await this.#resume(link, this.#session);
      return;
    }
    if (this.#session !== undefined) {
      // The old session is over, and its token may be what ended it; its peer leaves the room by its lease.
      this.startAnew();
      this.#needsFreshToken = true;
    }
    try {
      await this.#join(link);
    } catch (thrown) {
      const error = toPlenaryError(thrown);
      const canRenew = this.#environment.options.getToken !== undefined && !this.#needsFreshToken;
      if (error.code !== 'token_expired' || !canRenew) throw error;
      this.#needsFreshToken = true;
      await this.#join(link);
    }
  }

  async #join(link: EdgeLink): Promise<void> {
    const { options, roomId, clock } = this.#environment;
    this.#environment.joining();
    const [{ publicKey }, warm, token, roundTrips] = await Promise.all([
      this.warm(),
      this.#environment.warm(),
      this.#token(),
      this.#environment.roundTrips(),
    ]);
    clock.note('prepared');
    const displayName = this.#environment.displayName();
    clock.note('joinSent');
    const reply = await link.request('join', {
      protocolVersion: PROTOCOL_VERSION,
      requestId: this.#joinRequestId,
      roomId,
      token,
      ...(displayName === undefined ? {} : { displayName }),
      ...(roundTrips.length === 0 ? {} : { roundTrips: [...roundTrips] }),
      sessionKey: publicKey,
      media: mediaRequest(warm, options.publish ?? true),
    });
    clock.note('joinAnswered');
    this.#needsFreshToken = false;
    this.#session = reply.session;
    this.#environment.joined(link, reply, warm);
  }

  async #resume(link: EdgeLink, session: Session): Promise<void> {
    const { roomId, sessionToken } = session;
    const key = await this.#key;
    if (key === undefined) throw new PlenaryError('session_gone', 'There is no key of this session.');
    const proof = await key.prove(link.connectionId, sessionToken);
    const reply = await link.request('resume', {
      protocolVersion: PROTOCOL_VERSION,
      roomId,
      sessionToken,
      proof,
      lastEventId: this.#environment.lastEventId(),
      epoch: this.#environment.mediaEpoch(),
    });
    this.#session = reply.session;
    this.#environment.resumed(link, reply);
  }

  async #token(): Promise<string> {
    const { token, getToken } = this.#environment.options;
    const fresh = this.#needsFreshToken;
    if (token !== undefined && (getToken === undefined || !fresh)) return token;
    if (getToken === undefined)
      throw new PlenaryError('token_invalid', 'Neither token nor getToken is given.');
    const given = await getToken({ fresh });
    const grant: TokenGrant = typeof given === 'string' ? { token: given } : given;
    this.#environment.edgesKnown(grant.edgeUrls ?? []);
    return grant.token;
  }
}
