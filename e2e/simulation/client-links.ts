import { PlenaryError } from '@plenary/cluster';
import { REQUEST_TIMEOUT_MS } from '@plenary/cluster/protocol';
import type { ClientReply, ClientRequestInput, ClientRequestName } from '@plenary/cluster/protocol';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import type { Net, Wire } from '@plenary/cluster/testing/simulation/wire';
import { openLink, type ClientLink } from './client-link.ts';
import type { SimulatedEdge } from './edge.ts';

/** How long a handover waits for the answers to pending requests, in milliseconds. */
const PENDING_ANSWERS_MS = 1_000;
/** How long the other edge may take to resume the session while requests wait, in milliseconds. */
const RESUME_TIMEOUT_MS = 2_000;

export interface ClientLinksWorld {
  readonly net: Net;
  /** A reachable edge other than `but`, if there is one. */
  readonly anyEdge: (but?: SimulatedEdge) => SimulatedEdge | undefined;
}

/** The session that the links carry. */
export interface LinkedSession {
  readonly life: Life;
  readonly isJoined: () => boolean;
  readonly isLeaving: () => boolean;
  readonly token: () => string | undefined;
  /** @throws PlenaryError `session_gone` if the client has no room to resume in */
  readonly resumption: (sessionToken: string) => ClientRequestInput<'resume'>;
  /** The link in use is open: the client joins or resumes over it. */
  readonly opened: (link: ClientLink) => void;
  /** The link in use was lost; another one is opened later. */
  readonly lost: () => void;
  readonly resumed: (reply: ClientReply<'resume'>) => void;
  /** A handover is complete, with the session token that it used. */
  readonly handedOver: (sessionToken: string) => void;
  readonly notice: (link: ClientLink, name: string, payload: unknown) => void;
}

/** The link in use, and during a handover the one beside it. */
export class ClientLinks {
  readonly #world: ClientLinksWorld;
  readonly #session: LinkedSession;
  #link: ClientLink | undefined;
  /** The link to another edge, opened beside the one in use because its edge will go. */
  #next: ClientLink | undefined;
  /** Settles when another edge has answered the resumption; requests wait for it. */
  #resuming: Promise<void> | undefined;
  /** Another edge was asked to resume the session and has not answered. */
  #isResuming = false;
  #handovers = 0;

  constructor(world: ClientLinksWorld, session: LinkedSession) {
    this.#world = world;
    this.#session = session;
  }

  /** How often another edge resumed the session while the link in use was open. */
  get handovers(): number {
    return this.#handovers;
  }

  /** The current connection, if it is open. */
  get wire(): Wire | undefined {
    const wire = this.#link?.wire;
    return wire?.isCut === false ? wire : undefined;
  }

  isInUse(link: ClientLink): boolean {
    return this.#link === link;
  }

  /** Whether this link's edge decides on the session; during a handover the other edge does. */
  isAuthoritative(link: ClientLink): boolean {
    return this.isInUse(link) && !this.#isResuming;
  }

  connect(): void {
    const edge = this.#world.anyEdge();
    if (edge === undefined) {
      this.#connectLater();
      return;
    }
    const link: ClientLink = this.#open(
      edge,
      () => {
        this.#session.opened(link);
      },
      () => {
        this.#disconnected(link);
      },
    );
    this.#link = link;
  }

  /** Sends a request. During a handover it waits until the session is resumed. */
  ask<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    if (this.#resuming !== undefined && name !== 'leave')
      return this.#resuming.then(() => this.ask(name, payload));
    const link = this.#link;
    if (link === undefined) return Promise.reject(new PlenaryError('timed_out'));
    link.pendingRequests += 1;
    return link.calls.ask(name, payload, REQUEST_TIMEOUT_MS).finally(() => {
      link.pendingRequests -= 1;
    });
  }

  /** Closes the link in use, so that the client connects again. */
  reconnect(): void {
    this.#link?.wire.close('caller');
  }

  close(): void {
    this.#link?.wire.close('caller');
    this.#next?.wire.close('caller');
  }

  /** Breaks all links without notice. */
  cut(): void {
    this.#link?.wire.cut();
    this.#next?.wire.cut();
  }

  /** Hands the session over to another edge, because the one in use will go. Retries until that is done or the link is lost. */
  async handOver(from: ClientLink): Promise<void> {
    if (this.#next !== undefined || !this.#session.isJoined()) return;
    while (this.#link === from && from.wire.isOpen('caller') && !this.#session.isLeaving()) {
      const edge = this.#world.anyEdge(from.edge);
      const next = edge === undefined ? undefined : await this.#openBeside(edge);
      if (next !== undefined && (await this.#resumeOver(from, next))) break;
      next?.wire.close('caller');
      this.#next = undefined;
      await sleep(this.#world.net.random.between(200, 1_500));
    }
    this.#next = undefined;
  }

  #open(edge: SimulatedEdge, opened: () => void, closed: () => void): ClientLink {
    const link: ClientLink = openLink(this.#world.net, this.#session.life, edge, {
      opened,
      closed,
      notice: (name, payload) => {
        if (this.#link === link || this.#next === link) this.#session.notice(link, name, payload);
      },
    });
    return link;
  }

  #connectLater(): void {
    setTimeout(
      () => {
        if (this.#link === undefined) this.connect();
      },
      this.#world.net.random.between(200, 1_500),
    );
  }

  #disconnected(link: ClientLink): void {
    // The other edge may have closed this link by resuming the session.
    if (this.isAuthoritative(link)) this.#lost();
  }

  #lost(): void {
    this.#link = undefined;
    this.#session.lost();
    if (!this.#session.isLeaving()) this.#connectLater();
  }

  #openBeside(edge: SimulatedEdge): Promise<ClientLink | undefined> {
    return new Promise((resolve) => {
      const next: ClientLink = this.#open(
        edge,
        () => {
          resolve(next);
        },
        () => {
          resolve(undefined);
          if (this.#link === next) this.#disconnected(next);
        },
      );
      this.#next = next;
    });
  }

  /** @returns whether the other edge resumed the session */
  async #resumeOver(from: ClientLink, next: ClientLink): Promise<boolean> {
    const session = this.#session;
    const sessionToken = session.token();
    if (this.#link !== from || sessionToken === undefined) return false;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#resuming = promise;
    const timer = setTimeout(() => {
      next.wire.close('caller');
    }, PENDING_ANSWERS_MS + RESUME_TIMEOUT_MS);
    try {
      for (let waitedMs = 0; from.pendingRequests > 0 && waitedMs < PENDING_ANSWERS_MS; waitedMs += 50)
        await sleep(50);
      if (this.#link !== from || session.isLeaving()) return false;
      this.#isResuming = true;
      const resumed = await next.calls.ask('resume', session.resumption(sessionToken), REQUEST_TIMEOUT_MS);
      this.#link = next;
      this.#handovers += 1;
      from.wire.close('caller');
      session.resumed(resumed);
      return true;
    } catch (fault) {
      if (!(fault instanceof PlenaryError)) throw fault;
      return false;
    } finally {
      clearTimeout(timer);
      this.#isResuming = false;
      this.#resuming = undefined;
      resolve();
      if (this.#link === from && !from.wire.isOpen('caller')) this.#lost();
      if (this.#link === next) session.handedOver(sessionToken);
    }
  }
}

function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, delayMs);
  });
}
