import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import { PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import type { ClientReply, ClientRequestInput, ClientRequestName, Session } from '@plenary/cluster/protocol';
import type { SessionKey } from '@plenary/web/client';
import { backOff } from './back-off.ts';
import { BotConnection } from './bot-connection.ts';
import type { Notice } from './bot-connection.ts';
import { ToldEvents } from './told-events.ts';

/** How long the edge in use may take to answer what it was asked before, in milliseconds. */
const ANSWERED_WITHIN_MS = 1_000;

/** A notice that is not of the edge itself. */
export type NoticeOfSession = Exclude<Notice, { name: 'edge.leaving' }>;

export interface EdgeSessionHandlers {
  notice(notice: NoticeOfSession): void;
  /** The connection ended without `close()`. */
  lost(reason: string): void;
  /** Another edge did not take the session over; it is tried again. */
  problem(problem: string): void;
}

/** A bot's way to its edge. An edge that will go is left for another one while it goes on (SPEC DR5). */
export class EdgeSession {
  readonly #handlers: EdgeSessionHandlers;
  #connection: BotConnection | undefined;
  /** What connections of before got that did not fit a schema. */
  #malformedBefore = 0;
  #session: Session | undefined;
  #key: SessionKey | undefined;
  readonly #events = new ToldEvents();
  /** The edge in use said that it will go. */
  #isLeaving = false;
  /** Of the connection that is to be the next one in use: kept until it is. */
  #early: Notice[] = [];
  /** Requests wait for this. */
  #resuming: Promise<void> | undefined;
  #isClosed = false;

  private constructor(handlers: EdgeSessionHandlers) {
    this.#handlers = handlers;
  }

  /** @throws PlenaryError `timed_out` when the edge cannot be reached */
  static async open(edgeUrl: string, handlers: EdgeSessionHandlers): Promise<EdgeSession> {
    const session = new EdgeSession(handlers);
    session.#use(await session.#connect(edgeUrl));
    return session;
  }

  get malformed(): number {
    return this.#malformedBefore + (this.#connection?.malformed ?? 0);
  }

  /** The join was granted: from now on the session can go to another edge. */
  begin({ session, room }: ClientReply<'join'>, key: SessionKey): void {
    this.#session = session;
    this.#key = key;
    this.#events.startAfter(room.lastEventId);
    if (this.#isLeaving) void this.#handOver();
  }

  /** @throws PlenaryError as {@link BotConnection.request} */
  async request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    await this.#resuming;
    if (this.#connection === undefined) throw new PlenaryError('timed_out');
    return this.#connection.request(name, payload);
  }

  close(): void {
    this.#isClosed = true;
    this.#connection?.close();
  }

  async #connect(edgeUrl: string): Promise<BotConnection> {
    const opened: { connection?: BotConnection } = {};
    const isInUse = (): boolean => this.#connection !== undefined && this.#connection === opened.connection;
    opened.connection = await BotConnection.open(edgeUrl, {
      notice: (notice) => {
        if (isInUse()) this.#take(notice);
        else if (opened.connection?.isOpen !== false) this.#early.push(notice);
      },
      lost: (reason) => {
        // While another edge is asked, that one may be what ended it.
        if (isInUse() && this.#resuming === undefined) this.#handlers.lost(reason);
      },
    });
    return opened.connection;
  }

  #use(connection: BotConnection): void {
    this.#connection = connection;
    for (const notice of this.#early.splice(0)) this.#take(notice);
  }

  #take(notice: Notice): void {
    switch (notice.name) {
      case 'edge.leaving':
        if (this.#isLeaving) return;
        this.#isLeaving = true;
        if (this.#session !== undefined) void this.#handOver();
        return;
      case 'edges':
        if (this.#session !== undefined) this.#session = { ...this.#session, edges: notice.payload.edges };
        break;
      case 'session.renewed':
        if (this.#session !== undefined) {
          this.#session = { ...this.#session, sessionToken: notice.payload.sessionToken };
        }
        break;
      case 'event':
        if (!this.#events.isNew(notice.payload.id)) return;
        break;
      case 'bye':
        if (notice.payload.code === 'replaced' && this.#resuming !== undefined) return;
        break;
      default:
    }
    this.#handlers.notice(notice);
  }

  /** Tries one edge after the other until one takes the session over, or the one in use is gone. Handles its own errors. */
  async #handOver(): Promise<void> {
    const from = this.#connection;
    for (let attempt = 0; !this.#isClosed && from?.isOpen === true && this.#isLeaving; attempt += 1) {
      try {
        await this.#goElsewhere(from);
        return;
      } catch (thrown) {
        this.#handlers.problem(`going to another edge: ${toPlenaryError(thrown).message}`);
        await backOff(attempt);
      }
    }
  }

  async #goElsewhere(from: BotConnection): Promise<void> {
    const others = (this.#session?.edges ?? []).filter(({ edgeId }) => edgeId !== this.#session?.edgeId);
    const edge = others[Math.floor(Math.random() * others.length)];
    if (edge === undefined) throw new PlenaryError('timed_out', 'There is no other edge.');
    const next = await this.#connect(edge.url);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resuming = promise;
    try {
      await from.settled(ANSWERED_WITHIN_MS);
      const { session, catchUp } = await this.#resume(next);
      this.#session = session;
      this.#isLeaving = false;
      this.#malformedBefore += from.malformed;
      from.close();
      if (catchUp.type === 'snapshot') this.#handlers.problem('the log did not reach back to the last event');
      else for (const event of catchUp.events) this.#take({ name: 'event', payload: event });
      this.#use(next);
    } catch (thrown) {
      next.close();
      this.#early = [];
      throw thrown;
    } finally {
      this.#resuming = undefined;
      resolve();
    }
  }

  async #resume(next: BotConnection): Promise<ClientReply<'resume'>> {
    const { roomId, sessionToken } = this.#session ?? {};
    const lastEventId = this.#events.newest;
    if (
      roomId === undefined ||
      sessionToken === undefined ||
      this.#key === undefined ||
      lastEventId === undefined
    ) {
      throw new PlenaryError('session_gone');
    }
    const proof = await this.#key.prove(next.connectionId, sessionToken);
    return next.request('resume', {
      protocolVersion: PROTOCOL_VERSION,
      roomId,
      sessionToken,
      proof,
      lastEventId,
    });
  }
}
