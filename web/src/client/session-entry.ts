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
import { requestToken, type GetToken } from './ask-application.ts';
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
import { secondsSinceExpiry } from './token-expiry.ts';
import { mediaRequest, type WarmMedia } from './warm-up.ts';

/** Refusals of a rejoin token after which the client may only join as for the first time. */
const TICKET_REJECTED: readonly ErrorCode[] = [
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
  /** The epoch of the current media session; `undefined` while there is none. */
  readonly mediaEpoch: () => Epoch | undefined;
  readonly warm: () => Promise<WarmMedia>;
  /** The round trips to datacenters that are measured so far. */
  readonly roundTrips: () => Promise<readonly RoundTrip[]>;
  readonly edgesKnown: (urls: readonly string[]) => void;
  /** A join is about to be sent: later messages belong to the new session. */
  readonly joining: () => void;
  readonly joined: (link: EdgeLink, reply: ClientReply<'join'>, warm: WarmMedia) => void;
  readonly resumed: (link: EdgeLink, reply: ClientReply<'resume'>) => void;
  readonly clock: JoinClock;
  readonly log: ClientLog;
}

/** The token of a join, the rejoin ticket that it comes from, and whether the person may rejoin by the cluster's token. */
interface JoinCredentials {
  readonly token: string;
  readonly ticket?: RejoinTicket;
  readonly canRejoin: boolean;
}

/** Enters the room on a connection by a join or a resume. Holds the session. */
export class SessionEntry {
  readonly #environment: SessionEntryEnvironment;
  readonly #tickets: RejoinTickets;
  #session: Session | undefined;
  /** Created by the first attempt to join. All attempts and resumes of one session use the same key. */
  #key: Promise<SessionKey> | undefined;
  #joinRequestId = newRequestId();
  #needsFreshToken = false;
  /** Seconds since the expiry of the refused token, for each refusal. */
  readonly #secondsSinceExpiry = new WeakMap<PlenaryError, number>();

  constructor(environment: SessionEntryEnvironment) {
    this.#environment = environment;
    this.#tickets = new RejoinTickets(environment.options.rejoin);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Seconds since the refused token expired by this machine's clock, if known. */
  secondsSinceExpiry(refused: PlenaryError): number | undefined {
    return this.#secondsSinceExpiry.get(refused);
  }

  /** Forgets the session, so that the next join is no repeat of an earlier one. The rejoin ticket stays. */
  reset(): void {
    this.#session = undefined;
    this.#key = undefined;
    this.#joinRequestId = newRequestId();
  }

  /** Makes the next join ignore the stored ticket. */
  ignoreTicket(): void {
    this.#tickets.ignoreStored();
  }

  /** Creates the key of the next session. @throws PlenaryError `insecure_context` */
  warm(): Promise<SessionKey> {
    this.#key ??= createSessionKey();
    return this.#key;
  }

  /** Uses a newer token of the edge for the next resume. */
  renew(sessionToken: string): void {
    if (this.#session !== undefined) this.#session = { ...this.#session, sessionToken };
  }

  /** Resumes the session if there is one, else joins. @throws PlenaryError the edge's refusal; `insecure_context` */
  async enter(link: EdgeLink, mode: EnterMode): Promise<void> {
    if (mode === 'resume' && this.#session !== undefined) {
      await this.#resume(link, this.#session);
      return;
    }
    if (this.#session !== undefined) {
      // The old session ended, possibly because of its token. Its peer leaves the room when its lease lapses.
      this.reset();
      this.#needsFreshToken = true;
    }
    const { token, getToken } = this.#environment.options;
    const isSpent = this.#needsFreshToken && getToken !== undefined;
    let refused = new PlenaryError('token_invalid', 'Neither token nor getToken is given.');
    // A client that was in the room rejoins as the same person. A reloaded page first tries the token of its address.
    if (token !== undefined && this.#tickets.own === undefined && !isSpent) {
      const expired = await this.#joinByToken(link, token);
      if (expired === undefined) return;
      refused = expired;
    }
    const ticket = await this.#tickets.find();
    const unread = ticket === 'unreadable' ? keptUnreadable() : undefined;
    if (ticket !== undefined && ticket !== 'unreadable' && (await this.#joinByTicket(link, ticket))) return;
    if (getToken === undefined) throw unread ?? refused;
    await this.#joinByApplication(link, unread === undefined ? getToken : refuseGuestToken(getToken, unread));
  }

  /**
   * Joins by the token of the meeting's options, which may be reused until it expires.
   * @returns the refusal when the token has expired
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

  /** Rejoins by a ticket. @returns whether the edge accepted it */
  async #joinByTicket(link: EdgeLink, ticket: RejoinTicket): Promise<boolean> {
    this.#key = Promise.resolve(ticket.key);
    try {
      await this.#join(link, { token: ticket.token, ticket, canRejoin: true });
      return true;
    } catch (thrown) {
      const error = toPageError(thrown);
      if (!TICKET_REJECTED.includes(error.code)) throw error;
      // Without getToken this ticket is the only way in, and another edge may have another clock: the ticket stays.
      if (
        this.#environment.options.getToken === undefined &&
        mayBeTheClock(error, this.secondsSinceExpiry(error))
      )
        throw error;
      await this.#tickets.replace(undefined);
      this.#key = undefined;
      return false;
    }
  }

  async #joinByApplication(link: EdgeLink, getToken: GetToken): Promise<void> {
    const wasFresh = this.#needsFreshToken;
    try {
      await this.#join(link, await this.#requestToken(getToken));
    } catch (thrown) {
      const error = toPageError(thrown);
      if (error.code !== 'token_expired' || wasFresh) throw error;
      this.#needsFreshToken = true;
      await this.#join(link, await this.#requestToken(getToken));
    }
  }

  async #join(link: EdgeLink, { token, ticket, canRejoin }: JoinCredentials): Promise<void> {
    const { options, roomId, clock } = this.#environment;
    // While the application answered, the person may have left, or joined again.
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
      const endedAgo = secondsSinceExpiry(join.token);
      if (thrown instanceof PlenaryError && endedAgo !== undefined)
        this.#secondsSinceExpiry.set(thrown, endedAgo);
      throw thrown;
    }
  }

  #keepTicket(token: string | undefined, key: SessionKey | undefined): void {
    const ticket = token === undefined || key === undefined ? undefined : { token, key };
    this.#tickets.replace(ticket).catch((thrown: unknown) => {
      this.#environment.log.warn('the rejoin ticket could not be stored', toPlenaryError(thrown).message);
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

  async #requestToken(getToken: GetToken): Promise<JoinCredentials> {
    // The device is prepared meanwhile. Its failure shows in the join.
    this.#environment.warm().catch(() => undefined);
    const grant = await requestToken(getToken, { fresh: this.#needsFreshToken });
    this.#environment.edgesKnown(grant.edgeUrls ?? []);
    return { token: grant.token, canRejoin: grant.canRejoin ?? true };
  }
}

/** Requests a token from the application, but refuses a guest token: an unreadable ticket must not turn a known person into a guest. */
function refuseGuestToken(getToken: GetToken, unread: PlenaryError): GetToken {
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
