import { PlenaryError, toPlenaryError } from '@plenary/cluster/errors';
import type {
  ClientReply,
  ClientRequestInput,
  ClientRequestName,
  EdgeHint,
  EdgeId,
} from '@plenary/cluster/protocol';
import { RECONNECT_BACKOFF, connectTimeoutMs, fullJitterMs } from './backoff.ts';
import type { ConnectionEvent } from './connection-state.ts';
import type { ClientLog, Counters } from './counters.ts';
import {
  normaliseEdgeUrl,
  withCurrentEdges,
  withEdges,
  withFailedEdge,
  withLostEdge,
  withWorkingEdge,
  type EdgeList,
} from './edge-list.ts';
import { Handover, type Candidate, type FailedHandover } from './handover.ts';
import { toPageError } from './page-error.ts';
import { reactionTo } from './refusals.ts';
import { EdgeLink, type ParsedNotice } from './rpc.ts';
import type { SignallingPort } from './signalling-port.ts';

export type EnterMode = 'join' | 'resume';

/** How long an edge that did not answer is tried after edges that do, even with an error, in milliseconds. */
const UNREACHABLE_FOR_MS = 15_000;
/** Longest time that one attempt counts towards the deadline, in milliseconds. A longer one means that the machine slept. */
const LONGEST_ATTEMPT_MS = 60_000;
/** How long an edge that did not answer a resume may still take the session over, in milliseconds. */
const TAKEOVER_UNCERTAIN_MS = 10_000;
/** A page that still runs this long after its unloading began stays, in milliseconds. The timer stops while the browser asks the person. */
const UNLOAD_WITHIN_MS = 1_000;

/** A notice about the meeting, not about the connection. */
export type MeetingNotice = Exclude<ParsedNotice, { name: 'bye' | 'edge.leaving' }>;

export interface ConnectionEnvironment {
  readonly port: SignallingPort;
  readonly dispatch: (event: ConnectionEvent) => void;
  /** Sends `join` or `resume`, and calls {@link EdgeConnection.admit} when granted. Throws the refusal. */
  readonly enter: (link: EdgeLink, mode: EnterMode) => Promise<void>;
  /** Seconds since the refused token of a join expired, by this machine's clock. */
  readonly secondsSinceExpiry: (refused: PlenaryError) => number | undefined;
  readonly notice: (notice: MeetingNotice) => void;
  readonly socketOpened: () => void;
  /** Whether no media packets arrive any more. */
  readonly isMediaSilent: () => boolean;
  readonly counters: Counters;
  readonly log: ClientLog;
  readonly joinDeadlineMs: number;
  readonly reconnectDeadlineMs: number;
}

/** Keeps a connection to one of the edges: opens it, joins, resumes at another edge after a loss, and reports why it fails. */
export class EdgeConnection {
  readonly #environment: ConnectionEnvironment;
  #edges: EdgeList = [];
  /** The edges that the application configured. */
  readonly #configuredEdges: EdgeList;
  /** The datacenter of each announced edge, by URL. */
  #datacenters: ReadonlyMap<string, string> = new Map();
  /** URLs of the announced edges other than the current one. Behind a proxy they may equal the URL of the current edge. */
  #otherUrls: ReadonlySet<string> = new Set();
  /** Edges that did not answer, and until when they count as unreachable. */
  readonly #unreachable = new Map<string, number>();
  #link: EdgeLink | undefined;
  #opening: Promise<EdgeLink> | undefined;
  #entered = false;
  /** Connections to edges that will stop. */
  readonly #leaving = new WeakSet<EdgeLink>();
  #handover: Handover | undefined;
  /** Until then `replaced` may result from this client's own resume at another edge. */
  #ownTakeoverUntilMs = 0;
  /** Runs after the edge was notified that the page unloads. */
  #unloadTimer: ReturnType<typeof setTimeout> | undefined;
  #bye: PlenaryError | undefined;
  /** Grows with every start and stop. An attempt of an older generation ends itself. */
  #generation = 0;
  #wake: (() => void) | undefined;

  constructor(edgeUrls: readonly string[], environment: ConnectionEnvironment) {
    this.#environment = environment;
    this.addEdges(edgeUrls);
    this.#configuredEdges = this.#edges;
  }

  get entered(): boolean {
    return this.#entered;
  }

  get edgeUrl(): string | undefined {
    return this.#link?.url;
  }

  addEdges(urls: readonly string[]): void {
    this.#edges = withEdges(this.#edges, urls);
  }

  /**
   * Updates the edges to the announced ones. The current edge and the configured ones stay.
   *
   * @param currentEdgeId - the id of the current edge
   */
  edgesChanged(hints: readonly EdgeHint[], currentEdgeId: EdgeId | undefined): void {
    const currentUrl = this.#link?.url;
    this.#otherUrls = new Set(
      hints.filter(({ edgeId }) => edgeId !== currentEdgeId).map(({ url }) => normaliseEdgeUrl(url)),
    );
    const known = hints.map(({ url, datacenter }): [string, string] => [normaliseEdgeUrl(url), datacenter]);
    // A draining edge is no longer announced, but its datacenter is needed to choose the next edge.
    const [ownUrl, ownDatacenter] = [currentUrl ?? '', this.#datacenters.get(currentUrl ?? '')];
    this.#datacenters = new Map(ownDatacenter === undefined ? known : [[ownUrl, ownDatacenter], ...known]);
    const keep = currentUrl === undefined ? this.#configuredEdges : [...this.#configuredEdges, currentUrl];
    this.#edges = withCurrentEdges(
      this.#edges,
      hints.map(({ url }) => url),
      keep,
    );
  }

  /** Opens the socket before the join. Never rejects: the join reports an edge that does not answer. */
  async warm(): Promise<void> {
    try {
      await this.#open(0);
    } catch (thrown) {
      this.#environment.log.warn('the edge does not answer yet', toPlenaryError(thrown).message);
    }
  }

  /** Joins, with retries. Throws the error that ended the attempts. */
  async join(): Promise<void> {
    this.#generation += 1;
    await this.#enter('join', this.#generation, this.#environment.joinDeadlineMs, { isReturn: false });
  }

  /** Closes the connection and begins a new session by a fresh join. Handles its own errors. */
  rejoin(): void {
    if (!this.#entered) return;
    this.#lost('the client joins again', 'join');
  }

  /**
   * Uses a connection whose edge granted the join or the resume. From now on it carries requests.
   *
   * @throws PlenaryError `session_gone` when the link was closed before the answer arrived
   */
  admit(link: EdgeLink): void {
    const handover = this.#handover?.candidate === link ? this.#handover : undefined;
    if ((this.#link !== link && handover === undefined) || !link.isOpen) {
      throw new PlenaryError('session_gone', 'Given up meanwhile.');
    }
    this.#entered = true;
    this.#bye = undefined;
    this.#edges = withWorkingEdge(this.#edges, link.url);
    if (handover === undefined) this.#environment.dispatch({ type: 'joined', edgeUrl: link.url });
    else this.#handedOver(handover, link);
    if (this.#leaving.has(link)) this.#handOver(link);
  }

  /** Sends a request to the current edge. */
  request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    if (this.#link === undefined || !this.#entered) {
      return Promise.reject(new PlenaryError('timed_out', `${name}: no edge is connected.`));
    }
    // `leave` does not wait for the handover.
    if (this.#handover?.holds === true && !(name === 'leave' && this.#link.isOpen)) {
      return this.#handover.hold(() => this.request(name, payload));
    }
    return this.#link.request(name, payload);
  }

  /** Notifies the edge that this client leaves, without closing. If the page still runs afterwards, the client joins again. */
  announceLeaving(): void {
    if (!this.#entered || this.#unloadTimer !== undefined) return;
    this.#link?.sendWithoutWaiting('leave');
    // The edge ends the session but not the connection, so that no close event would start a rejoin.
    this.#unloadTimer = setTimeout(() => this.rejoin(), UNLOAD_WITHIN_MS);
  }

  /** Notifies the edge that this client leaves, without waiting, and closes. For `pagehide`. */
  leaveNow(): void {
    this.#link?.sendWithoutWaiting('leave');
    this.stop();
  }

  /** Ends the connection and all attempts. No callback follows. */
  stop(): void {
    this.#generation += 1;
    this.#entered = false;
    this.#wake?.();
    this.#drop();
  }

  /** Skips the wait before the next attempt, for example when the browser is online again. */
  retryNow(): void {
    this.#wake?.();
  }

  async #enter(
    firstMode: EnterMode,
    run: number,
    deadlineMs: number,
    { isReturn }: { readonly isReturn: boolean },
  ): Promise<void> {
    let leftMs = deadlineMs;
    let countedMs = performance.now();
    /** Edges with a final refusal. During an upgrade another release may accept this client. */
    const refusedFinally = new Set<string>();
    let mode = firstMode;
    for (let attempt = 0; ; attempt += 1) {
      // A first join goes out at once. Reconnects are spread, because all clients of a lost edge come back together.
      if (attempt > 0 || mode === 'resume')
        await this.#sleep(fullJitterMs(attempt, RECONNECT_BACKOFF, Math.random()));
      this.#assertCurrent(run);
      const edgeUrl = this.#edges[0];
      try {
        const link = await this.#open(attempt);
        this.#assertCurrent(run);
        if (edgeUrl !== undefined) this.#unreachable.delete(edgeUrl);
        this.#environment.dispatch({ type: 'socket_opened' });
        await this.#environment.enter(link, mode);
        this.#assertCurrent(run);
        return;
      } catch (thrown) {
        this.#assertCurrent(run);
        const bye = this.#bye;
        const error = bye ?? toPageError(thrown);
        this.#bye = undefined;
        const as = mode === 'join' && isReturn ? 'return' : mode;
        const reaction = reactionTo(error, as, this.#environment.secondsSinceExpiry(error));
        // An edge that refused a resume with this code accepts a join on the same connection.
        if (reaction !== 'join' || bye !== undefined) this.#drop();
        if (edgeUrl !== undefined && (reaction === 'elsewhere' || reaction === 'others')) {
          if (error.code === 'timed_out') this.#noteUnreachable(edgeUrl);
          // An unreachable edge is still tried before one with a final refusal.
          const isLast = (edge: string): boolean => reaction !== 'others' && this.#isUnreachable(edge);
          this.#edges = withFailedEdge(this.#edges, edgeUrl, isLast);
          if (reaction === 'others') refusedFinally.add(edgeUrl);
        }
        if (reaction === 'join') {
          mode = 'join';
          attempt = -1;
          continue;
        }
        const isOver =
          reaction === 'tell' ||
          (reaction === 'others' && this.#edges.every((edge) => refusedFinally.has(edge)));
        const nowMs = performance.now();
        leftMs -= Math.min(nowMs - countedMs, LONGEST_ATTEMPT_MS);
        countedMs = nowMs;
        if (isOver || leftMs <= 0) throw error;
        this.#environment.dispatch({ type: 'attempt_failed', error: error.toWire() });
      }
    }
  }

  /** Returns the open link or the one that is being opened. Concurrent calls share one socket. */
  #open(attempt: number): Promise<EdgeLink> {
    if (this.#link?.isOpen === true) return Promise.resolve(this.#link);
    this.#opening ??= new Promise<EdgeLink>((resolve, reject) => {
      const url = this.#edges[0] ?? normaliseEdgeUrl(globalThis.location.href);
      const link: EdgeLink = this.#openLink(url, attempt, {
        opened: () => {
          if (this.#link !== link) return;
          this.#environment.socketOpened();
          this.#opening = undefined;
          resolve(link);
        },
        closed: reject,
      });
      this.#link = link;
    });
    return this.#opening;
  }

  /** Opens a connection. It is the current one only while {@link #link} refers to it. */
  #openLink(
    url: string,
    attempt: number,
    outcome: { readonly opened: () => void; readonly closed: (error: PlenaryError) => void },
  ): EdgeLink {
    const { port, counters, log } = this.#environment;
    const link: EdgeLink = new EdgeLink(
      port,
      url,
      {
        opened: outcome.opened,
        closed: (reason) => {
          outcome.closed(new PlenaryError('timed_out', `${url}: ${reason}.`));
          if (this.#link !== link || this.#handover?.currentClosed(reason) === true) return;
          if (this.#entered) this.#lost(reason, 'resume');
          else this.#drop();
        },
        silent: (request) => {
          // During a join or resume, the deadline of the request decides.
          if (this.#link !== link || !this.#entered) return;
          const isMediaSilent = this.#environment.isMediaSilent();
          // Packets arrive again, so the network works, and the edge has the usual time to answer.
          if (request === 'media.check' && !isMediaSilent) return;
          const reason = 'the edge is silent';
          if (this.#handover?.currentClosed(reason) !== true) this.#lost(reason, 'resume', isMediaSilent);
        },
        notice: (notice) => {
          this.#handleNotice(link, notice);
        },
      },
      { counters, log, connectTimeoutMs: connectTimeoutMs(attempt) },
    );
    return link;
  }

  #drop(): void {
    clearTimeout(this.#unloadTimer);
    this.#unloadTimer = undefined;
    const link = this.#link;
    this.#link = undefined;
    this.#opening = undefined;
    link?.close();
    this.#handover?.cancel();
    this.#handover = undefined;
  }

  /** Moves the session to another edge, because the current edge will stop. */
  #handOver(from: EdgeLink): void {
    if (this.#handover !== undefined) return;
    this.#edges = withLostEdge(this.#edges, from.url, this.#datacenters, Math.random);
    this.#handover = new Handover({
      from,
      open: (attempt) => this.#openCandidate(from, attempt),
      resume: (link) => this.#environment.enter(link, 'resume'),
      failed: (failure) => this.#handoverFailed(failure),
      lost: (reason) => this.#lost(reason, 'resume'),
    });
    this.#handover.start();
  }

  #openCandidate(from: EdgeLink, attempt: number): Candidate | undefined {
    const others = this.#edges.filter((edge) => edge !== from.url || this.#otherUrls.has(edge));
    const url = others.find((edge) => !this.#isUnreachable(edge)) ?? others[0];
    if (url === undefined) return undefined;
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>();
    const link = this.#openLink(url, attempt, { opened: resolve, closed: reject });
    return { link, opened };
  }

  #handoverFailed({ edgeUrl, error, wasOpened, wasAsked }: FailedHandover): void {
    this.#environment.log.warn(`handover to ${edgeUrl} failed; another edge is tried`, error.message);
    if (!wasOpened) this.#noteUnreachable(edgeUrl);
    if (wasAsked && error.code === 'timed_out')
      this.#ownTakeoverUntilMs = performance.now() + TAKEOVER_UNCERTAIN_MS;
    this.#edges = withFailedEdge(this.#edges, edgeUrl, (edge) => this.#isUnreachable(edge));
  }

  #handedOver(handover: Handover, link: EdgeLink): void {
    const previous = this.#link;
    this.#link = link;
    this.#handover = undefined;
    this.#environment.counters.handedOver += 1;
    this.#environment.dispatch({ type: 'handed_over', edgeUrl: link.url });
    handover.finish();
    previous?.close();
  }

  #handleNotice(link: EdgeLink, notice: ParsedNotice): void {
    const isCurrent = this.#link === link;
    if (!isCurrent && this.#handover?.candidate !== link) return;
    switch (notice.name) {
      case 'edge.leaving':
        this.#leaving.add(link);
        if (isCurrent && this.#entered) this.#handOver(link);
        return;
      case 'bye':
        // A candidate also closes after its `bye`, and the handover reacts to that.
        if (isCurrent) this.#handleBye(notice);
        return;
      default:
        this.#environment.notice(notice);
    }
  }

  #handleBye(notice: Extract<ParsedNotice, { name: 'bye' }>): void {
    // During a join or resume the pending request fails with the connection; this error is the real reason.
    this.#bye = PlenaryError.fromWire(notice.payload);
    if (!this.#entered) return;
    const bye = this.#bye;
    this.#bye = undefined;
    if (this.#handover?.currentClosed(bye.code) === true) return;
    // The edge whose answer to a resume timed out may have taken the session over.
    const isOwnTakeover = bye.code === 'replaced' && performance.now() < this.#ownTakeoverUntilMs;
    if (isOwnTakeover || reactionTo(bye, 'resume') !== 'tell') this.#lost(bye.code, 'resume');
    else this.#fail(bye);
  }

  #lost(reason: string, mode: EnterMode, mayBeWholeDatacenter = false): void {
    this.#entered = false;
    const lostUrl = this.#link?.url ?? this.#edges[0];
    this.#drop();
    this.#generation += 1;
    const run = this.#generation;
    this.#environment.counters.reconnects += 1;
    if (lostUrl !== undefined && mode === 'resume') {
      this.#noteUnreachable(lostUrl);
      this.#edges = withLostEdge(this.#edges, lostUrl, this.#datacenters, Math.random, mayBeWholeDatacenter);
    }
    this.#environment.dispatch({ type: 'socket_lost', reason });
    this.#enter(mode, run, this.#environment.reconnectDeadlineMs, { isReturn: true }).catch(
      (thrown: unknown) => {
        if (run === this.#generation) this.#fail(toPageError(thrown));
      },
    );
  }

  #noteUnreachable(edgeUrl: string): void {
    this.#unreachable.set(edgeUrl, performance.now() + UNREACHABLE_FOR_MS);
  }

  #isUnreachable(edgeUrl: string): boolean {
    return (this.#unreachable.get(edgeUrl) ?? 0) > performance.now();
  }

  #fail(error: PlenaryError): void {
    this.stop();
    this.#environment.dispatch({ type: 'failed', error: error.toWire() });
  }

  #assertCurrent(run: number): void {
    if (run !== this.#generation) throw new PlenaryError('session_gone', 'The meeting was left meanwhile.');
  }

  #sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, delayMs);
      const wake = (): void => {
        done();
      };
      this.#wake = wake;
      const release = (): void => {
        if (this.#wake === wake) this.#wake = undefined;
      };
      function done(): void {
        clearTimeout(timer);
        release();
        resolve();
      }
    });
  }
}
