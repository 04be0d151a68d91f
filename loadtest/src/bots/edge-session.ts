import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import { PROTOCOL_VERSION } from '@plenary/cluster/protocol';
import type { ClientReply, ClientRequestInput, ClientRequestName, Session } from '@plenary/cluster/protocol';
import type { SessionKey } from '@plenary/web/client';
import { backOff } from './back-off.ts';
import { BotConnection } from './bot-connection.ts';
import type { Notice } from './bot-connection.ts';
import { ToldEvents } from './told-events.ts';

/** How long the current edge may take to answer pending requests before a handover, in milliseconds. */
const ANSWERED_WITHIN_MS = 1_000;

/** A notice that does not concern the connection itself. */
export type NoticeOfSession = Exclude<Notice, { name: 'edge.leaving' }>;

export interface EdgeSessionHandlers {
  notice(notice: NoticeOfSession): void;
  /** The connection ended without `close()`. */
  lost(reason: string): void;
  /** Another edge did not resume the session; the handover is retried. */
  problem(problem: string): void;
}

/** A bot's session at an edge. When the edge drains, the session is handed over while the old connection stays open (SPEC DR5). */
export class EdgeSession {
  readonly #handlers: EdgeSessionHandlers;
  #connection: BotConnection | undefined;
  /** How many malformed messages earlier connections received. */
  #malformedBefore = 0;
  #session: Session | undefined;
  #key: SessionKey | undefined;
  readonly #events = new ToldEvents();
  /** The current edge announced that it is leaving. */
  #isLeaving = false;
  /** Notices of the next connection, which are kept until it is the current one. */
  #early: Notice[] = [];
  /** Requests wait for the handover in progress. */
  #resuming: Promise<void> | undefined;
  #isClosed = false;

  private constructor(handlers: EdgeSessionHandlers) {
    this.#handlers = handlers;
  }

  /** @throws PlenaryError `timed_out` if the edge cannot be reached */
  static async open(edgeUrl: string, handlers: EdgeSessionHandlers): Promise<EdgeSession> {
    const session = new EdgeSession(handlers);
    session.#use(await session.#connect(edgeUrl));
    return session;
  }

  get malformed(): number {
    return this.#malformedBefore + (this.#connection?.malformed ?? 0);
  }

  /** The join succeeded: from now on the session can be handed over to another edge. */
  begin({ session, room }: ClientReply<'join'>, key: SessionKey): void {
    this.#session = session;
    this.#key = key;
    this.#events.startAfter(room.lastEventId);
    if (this.#isLeaving) void this.#handOver();
  }

  /** @throws PlenaryError like {@link BotConnection.request} */
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
        // The other edge may have closed this connection by resuming the session.
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

  /** Tries one edge after the other until one resumes the session or the current one is gone. Handles its own errors. */
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
