import { PlenaryError, toPlenaryError, type ErrorCode } from '@plenary/cluster/errors';
import {
  PROTOCOL_VERSION,
  type ClientReply,
  type ClientRequestInput,
  type Epoch,
  type EventId,
  type RoomName,
  type RoundTrip,
  type Session,
} from '@plenary/cluster/protocol';
import { askApplication, type GetToken } from './ask-application.ts';
import type { EnterMode } from './edge-connection.ts';
import type { ClientLog } from './counters.ts';
import type { JoinClock } from './join-timings.ts';
import type { MeetingOptions } from './meeting-types.ts';
import { toPageError } from './page-error.ts';
import { mayBeTheClock } from './refusals.ts';
import { RejoinTickets, keptUnreadable, type RejoinTicket } from './rejoin.ts';
import { newRequestId } from './request-edge.ts';
import type { EdgeLink } from './rpc.ts';
import { createSessionKey, type SessionKey } from './session-key.ts';
import { endedAgoSeconds } from './token-end.ts';
import { mediaRequest, type WarmMedia } from './warm-up.ts';

/** Refusals of a rejoin token after which one may come in only as for the first time. */
const TICKET_IS_OVER: readonly ErrorCode[] = [
  'token_expired',
  'token_invalid',
  'token_wrong_room',
  'proof_invalid',
];

export interface SessionEntryEnvironment {
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
  readonly log: ClientLog;
}

/** Who one joins as, and whether one may come back as the same without asking again. */
interface Pass {
  readonly token: string;
  readonly ticket?: RejoinTicket;
  readonly canRejoin: boolean;
}

/** Enters the room on a connection: by a join, or by taking the session up again. Holds the session. */
export class SessionEntry {
  readonly #environment: SessionEntryEnvironment;
  readonly #tickets: RejoinTickets;
  #session: Session | undefined;
  /** Made by the first attempt to join; the repeats and resumes of one session have one key. */
  #key: Promise<SessionKey> | undefined;
  #joinRequestId = newRequestId();
  #needsFreshToken = false;
  /** For how many seconds the tokens that were refused had been over by then. */
  readonly #endedAgo = new WeakMap<PlenaryError, number>();

  constructor(environment: SessionEntryEnvironment) {
    this.#environment = environment;
    this.#tickets = new RejoinTickets(environment.options.rejoin);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** For how many seconds the token had been over by this machine's clock that a join was refused for, where that is known. */
  endedAgo(refused: PlenaryError): number | undefined {
    return this.#endedAgo.get(refused);
  }

  /** Begins a join that is no repeat of an earlier one. What one comes back with stays. */
  startAnew(): void {
    this.#session = undefined;
    this.#key = undefined;
    this.#joinRequestId = newRequestId();
  }

  /** The next join is as for the first time, whatever may be kept. */
  forgetTicket(): void {
    this.#tickets.setAside();
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
    const { token, getToken } = this.#environment.options;
    const isSpent = this.#needsFreshToken && getToken !== undefined;
    let refused = new PlenaryError('token_invalid', 'Neither token nor getToken is given.');
    // Who was in already comes back as who they were. A page that was loaded anew first tries what its address gives.
    if (token !== undefined && this.#tickets.own === undefined && !isSpent) {
      const expired = await this.#joinByToken(link, token);
      if (expired === undefined) return;
      refused = expired;
    }
    const ticket = await this.#tickets.find();
    const unread = ticket === 'unreadable' ? keptUnreadable() : undefined;
    if (ticket !== undefined && ticket !== 'unreadable' && (await this.#joinByTicket(link, ticket))) return;
    if (getToken === undefined) throw unread ?? refused;
    await this.#joinByApplication(link, unread === undefined ? getToken : exceptAsGuest(getToken, unread));
  }

  /**
   * By the token that the meeting was made with; it may be used again until it expires.
   * @returns what it was refused with when it has expired
   */
  async #joinByToken(link: EdgeLink, token: string): Promise<PlenaryError | undefined> {
    try {
      await this.#join(link, { token, canRejoin: true });
      return undefined;
    } catch (thrown) {
      const error = toPageError(thrown);
      if (error.code !== 'token_expired') throw error;
      this.#needsFreshToken = true;
      return error;
    }
  }

  /** @returns whether the ticket is still good */
  async #joinByTicket(link: EdgeLink, ticket: RejoinTicket): Promise<boolean> {
    this.#key = Promise.resolve(ticket.key);
    try {
      await this.#join(link, { token: ticket.token, ticket, canRejoin: true });
      return true;
    } catch (thrown) {
      const error = toPageError(thrown);
      if (!TICKET_IS_OVER.includes(error.code)) throw error;
      // Nobody else can let this person in, and another edge may see the time otherwise: the ticket stays.
      if (this.#environment.options.getToken === undefined && mayBeTheClock(error, this.endedAgo(error)))
        throw error;
      await this.#tickets.replace(undefined);
      this.#key = undefined;
      return false;
    }
  }

  async #joinByApplication(link: EdgeLink, getToken: GetToken): Promise<void> {
    const wasFresh = this.#needsFreshToken;
    try {
      await this.#join(link, await this.#ask(getToken));
    } catch (thrown) {
      const error = toPageError(thrown);
      if (error.code !== 'token_expired' || wasFresh) throw error;
      this.#needsFreshToken = true;
      await this.#join(link, await this.#ask(getToken));
    }
  }

  async #join(link: EdgeLink, { token, ticket, canRejoin }: Pass): Promise<void> {
    const { options, roomId, clock } = this.#environment;
    // The application may have thought for longer than the person waited, who is in another meeting by now, or in this one.
    if (!link.isOpen) throw new PlenaryError('session_gone', 'Given up meanwhile.');
    this.#environment.joining();
    const [key, warm, roundTrips] = await Promise.all([
      this.warm(),
      this.#environment.warm(),
      this.#environment.roundTrips(),
    ]);
    clock.note('prepared');
    const displayName = this.#environment.displayName();
    const proof = ticket && (await ticket.key.proveRejoin(link.connectionId, token));
    clock.note('joinSent');
    const reply = await this.#request(link, {
      protocolVersion: PROTOCOL_VERSION,
      requestId: this.#joinRequestId,
      roomId,
      token,
      ...(proof === undefined ? {} : { proof }),
      ...(displayName === undefined ? {} : { displayName }),
      ...(roundTrips.length === 0 ? {} : { roundTrips: [...roundTrips] }),
      sessionKey: key.publicKey,
      media: mediaRequest(warm, options.publish ?? true),
    });
    clock.note('joinAnswered');
    this.#needsFreshToken = false;
    this.#session = reply.session;
    this.#keepTicket(reply.session.rejoinToken, canRejoin ? key : undefined);
    this.#environment.joined(link, reply, warm);
  }

  async #request(link: EdgeLink, join: ClientRequestInput<'join'>): Promise<ClientReply<'join'>> {
    try {
      return await link.request('join', join);
    } catch (thrown) {
      const endedAgo = endedAgoSeconds(join.token);
      if (thrown instanceof PlenaryError && endedAgo !== undefined) this.#endedAgo.set(thrown, endedAgo);
      throw thrown;
    }
  }

  #keepTicket(token: string | undefined, key: SessionKey | undefined): void {
    const ticket = token === undefined || key === undefined ? undefined : { token, key };
    this.#tickets.replace(ticket).catch((thrown: unknown) => {
      this.#environment.log.warn(
        'what one comes back with could not be kept',
        toPlenaryError(thrown).message,
      );
    });
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

  async #ask(getToken: GetToken): Promise<Pass> {
    // Media is made ready meanwhile; a failure of it shows in the join.
    this.#environment.warm().catch(() => undefined);
    const grant = await askApplication(getToken, { fresh: this.#needsFreshToken });
    this.#environment.edgesKnown(grant.edgeUrls ?? []);
    return { token: grant.token, canRejoin: grant.canRejoin ?? true };
  }
}

/** An application that knows the person is asked as for the first time; a guest nobody becomes by a store that does not answer. */
function exceptAsGuest(getToken: GetToken, unread: PlenaryError): GetToken {
  return async (request) => {
    try {
      const grant = await getToken(request);
      if (typeof grant === 'object' && grant.canRejoin === false) throw unread;
      return grant;
    } catch (thrown) {
      throw toPlenaryError(thrown).code === 'guests_not_allowed' ? unread : thrown;
    }
  };
}
