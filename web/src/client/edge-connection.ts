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

/** For so long an edge where nobody answered is tried after those that answer, if only with an error, in milliseconds. */
const UNREACHABLE_FOR_MS = 15_000;
/** What seems to have taken longer was a machine that slept, and woke before its network: that is no time of trying, in milliseconds. */
const LONGEST_ATTEMPT_MS = 60_000;
/** For so long an edge that was asked to take the session up, and did not answer, may yet do so, in milliseconds. */
const UNSURE_FOR_MS = 10_000;
/** A page that is still there so long after its unloading began stays: no timer runs while it is asked about, in milliseconds. */
const UNLOADS_WITHIN_MS = 1_000;

/** A notice that is not of the connection itself. */
export type NoticeOfMeeting = Exclude<ParsedNotice, { name: 'bye' | 'edge.leaving' }>;

export interface ConnectionEnvironment {
  readonly port: SignallingPort;
  readonly dispatch: (event: ConnectionEvent) => void;
  /** Sends `join` or `resume`, and calls {@link EdgeConnection.admit} once granted; throws what it was refused with. */
  readonly enter: (link: EdgeLink, mode: EnterMode) => Promise<void>;
  /** For how many seconds the token had been over by this machine's clock that a join was refused for. */
  readonly endedAgo: (refused: PlenaryError) => number | undefined;
  readonly notice: (notice: NoticeOfMeeting) => void;
  readonly socketOpened: () => void;
  /** Whether media has stopped to come. */
  readonly isMediaSilent: () => boolean;
  readonly counters: Counters;
  readonly log: ClientLog;
  readonly joinDeadlineMs: number;
  readonly reconnectDeadlineMs: number;
}

/** Keeps a connection to some edge: opens, joins, resumes elsewhere when it breaks, and says why when it cannot. */
export class EdgeConnection {
  readonly #environment: ConnectionEnvironment;
  #edges: EdgeList = [];
  /** The edges that the application named. */
  readonly #namedEdges: EdgeList;
  /** Where the edges are that the cluster tells of. */
  #datacenters: ReadonlyMap<string, string> = new Map();
  /** Where edges are that are not the one in use, as the cluster tells them; behind a proxy that may be its URL as well. */
  #otherUrls: ReadonlySet<string> = new Set();
  /** Edges where nobody answered, and until when that is believed. */
  readonly #unreachable = new Map<string, number>();
  #link: EdgeLink | undefined;
  #opening: Promise<EdgeLink> | undefined;
  #entered = false;
  /** Connections of edges that will go. */
  readonly #leaving = new WeakSet<EdgeLink>();
  #handover: Handover | undefined;
  /** Until then `replaced` may tell of an edge that this client asked itself. */
  #unsureUntilMs = 0;
  /** Runs while an edge was told that this client leaves. */
  #unloadTimer: ReturnType<typeof setTimeout> | undefined;
  #bye: PlenaryError | undefined;
  /** Grows with every start and stop; whoever waits compares it and gives up when it is no longer theirs. */
  #run = 0;
  #wake: (() => void) | undefined;

  constructor(edgeUrls: readonly string[], environment: ConnectionEnvironment) {
    this.#environment = environment;
    this.addEdges(edgeUrls);
    this.#namedEdges = this.#edges;
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
   * The edges as the cluster now tells them. The one in use stays, and those that the application named.
   *
   * @param edgeIdInUse - what the edge in use is called
   */
  edgesChanged(hints: readonly EdgeHint[], edgeIdInUse: EdgeId | undefined): void {
    const inUse = this.#link?.url;
    this.#otherUrls = new Set(
      hints.filter(({ edgeId }) => edgeId !== edgeIdInUse).map(({ url }) => normaliseEdgeUrl(url)),
    );
    const known = hints.map(({ url, datacenter }): [string, string] => [normaliseEdgeUrl(url), datacenter]);
    // One that is leaving is told of no more, and yet it is from its datacenter that one goes on.
    const [ownUrl, ownDatacenter] = [inUse ?? '', this.#datacenters.get(inUse ?? '')];
    this.#datacenters = new Map(ownDatacenter === undefined ? known : [[ownUrl, ownDatacenter], ...known]);
    const keep = inUse === undefined ? this.#namedEdges : [...this.#namedEdges, inUse];
    this.#edges = withCurrentEdges(
      this.#edges,
      hints.map(({ url }) => url),
      keep,
    );
  }

  /** Opens the socket ahead of the join. An edge that does not answer is no error yet. */
  async warm(): Promise<void> {
    try {
      await this.#open(0);
    } catch (thrown) {
      this.#environment.log.warn('the edge does not answer yet', toPlenaryError(thrown).message);
    }
  }

  /** Joins; resolves once joined, throws what ended the attempts. */
  async join(): Promise<void> {
    this.#run += 1;
    await this.#enter('join', this.#run, this.#environment.joinDeadlineMs, { isReturn: false });
  }

  /** Ends this session's connection and begins a new one by a fresh join. Handles its own errors. */
  rejoin(): void {
    if (!this.#entered) return;
    this.#lost('the session is begun anew', 'join');
  }

  /**
   * The edge granted the join or the resume: requests pass from now on.
   *
   * @throws PlenaryError `session_gone` when this link was given up before its answer came
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

  /** A request to the edge in use. */
  request<Name extends ClientRequestName>(
    name: Name,
    payload: ClientRequestInput<Name>,
  ): Promise<ClientReply<Name>> {
    if (this.#link === undefined || !this.#entered) {
      return Promise.reject(new PlenaryError('timed_out', `${name}: no edge is connected.`));
    }
    // Who leaves does not wait for another edge to take the session up first.
    if (this.#handover?.holds === true && !(name === 'leave' && this.#link.isOpen)) {
      return this.#handover.hold(() => this.request(name, payload));
    }
    return this.#link.request(name, payload);
  }

  /** Tells the edge that this client leaves, and goes on: where it is still there afterwards, it joins anew. */
  announceLeaving(): void {
    if (!this.#entered || this.#unloadTimer !== undefined) return;
    this.#link?.sendWithoutWaiting('leave');
    // The edge ends the session and not the connection, which would tell of it.
    this.#unloadTimer = setTimeout(() => this.rejoin(), UNLOADS_WITHIN_MS);
  }

  /** Tells the edge that this client leaves, without waiting, and closes. For `pagehide`. */
  leaveNow(): void {
    this.#link?.sendWithoutWaiting('leave');
    this.stop();
  }

  /** Ends everything; nothing is called back afterwards. */
  stop(): void {
    this.#run += 1;
    this.#entered = false;
    this.#wake?.();
    this.#drop();
  }

  /** Goes on at once instead of waiting for the next attempt, as when the browser says it is online again. */
  hurry(): void {
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
    /** While a cluster is upgraded, its edges are of two releases. */
    const refusedForGood = new Set<string>();
    let mode = firstMode;
    for (let attempt = 0; ; attempt += 1) {
      // A first join is a person's wish and waits for nothing; all who lost one edge come back spread out.
      if (attempt > 0 || mode === 'resume')
        await this.#sleep(fullJitterMs(attempt, RECONNECT_BACKOFF, Math.random()));
      this.#check(run);
      const edgeUrl = this.#edges[0];
      try {
        const link = await this.#open(attempt);
        this.#check(run);
        if (edgeUrl !== undefined) this.#unreachable.delete(edgeUrl);
        this.#environment.dispatch({ type: 'socket_opened' });
        await this.#environment.enter(link, mode);
        this.#check(run);
        return;
      } catch (thrown) {
        this.#check(run);
        const bye = this.#bye;
        const error = bye ?? toPageError(thrown);
        this.#bye = undefined;
        const as = mode === 'join' && isReturn ? 'return' : mode;
        const reaction = reactionTo(error, as, this.#environment.endedAgo(error));
        // An edge that refused a resume in so many words takes the join on the same connection.
        if (reaction !== 'join' || bye !== undefined) this.#drop();
        if (edgeUrl !== undefined && (reaction === 'elsewhere' || reaction === 'others')) {
          if (error.code === 'timed_out') this.#noteUnreachable(edgeUrl);
          // Even one that lately did not answer comes before one that has said no for good.
          const isLast = (edge: string): boolean => reaction !== 'others' && this.#isUnreachable(edge);
          this.#edges = withFailedEdge(this.#edges, edgeUrl, isLast);
          if (reaction === 'others') refusedForGood.add(edgeUrl);
        }
        if (reaction === 'join') {
          mode = 'join';
          attempt = -1;
          continue;
        }
        const isOver =
          reaction === 'tell' ||
          (reaction === 'others' && this.#edges.every((edge) => refusedForGood.has(edge)));
        const nowMs = performance.now();
        leftMs -= Math.min(nowMs - countedMs, LONGEST_ATTEMPT_MS);
        countedMs = nowMs;
        if (isOver || leftMs <= 0) throw error;
        this.#environment.dispatch({ type: 'attempt_failed', error: error.toWire() });
      }
    }
  }

  /** The open link, or the one that is being opened: however many ask, one socket is made. */
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

  /** Opens a connection, which is in use only when {@link #link} says so. */
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
          if (this.#link !== link || this.#handover?.leftBehind(reason) === true) return;
          if (this.#entered) this.#lost(reason, 'resume');
          else this.#drop();
        },
        silent: (request) => {
          // While entering, the request's own deadline decides.
          if (this.#link !== link || !this.#entered) return;
          const isMediaSilent = this.#environment.isMediaSilent();
          // Media came again meanwhile: so did the network, and the edge has the usual time.
          if (request === 'media.check' && !isMediaSilent) return;
          const reason = 'the edge is silent';
          if (this.#handover?.leftBehind(reason) !== true) this.#lost(reason, 'resume', isMediaSilent);
        },
        notice: (notice) => {
          this.#notice(link, notice);
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

  /** The edge of the connection in use will go: another one is to take the session up meanwhile. */
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
    this.#environment.log.warn(`${edgeUrl} did not take the session over`, error.message);
    if (!wasOpened) this.#noteUnreachable(edgeUrl);
    if (wasAsked && error.code === 'timed_out') this.#unsureUntilMs = performance.now() + UNSURE_FOR_MS;
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

  #notice(link: EdgeLink, notice: ParsedNotice): void {
    const isInUse = this.#link === link;
    if (!isInUse && this.#handover?.candidate !== link) return;
    switch (notice.name) {
      case 'edge.leaving':
        this.#leaving.add(link);
        if (isInUse && this.#entered) this.#handOver(link);
        return;
      case 'bye':
        // What a candidate says last, its closing says as well.
        if (isInUse) this.#takeBye(notice);
        return;
      default:
        this.#environment.notice(notice);
    }
  }

  #takeBye(notice: Extract<ParsedNotice, { name: 'bye' }>): void {
    // While entering, the pending request fails with the connection, and this is the true reason.
    this.#bye = PlenaryError.fromWire(notice.payload);
    if (!this.#entered) return;
    const bye = this.#bye;
    this.#bye = undefined;
    if (this.#handover?.leftBehind(bye.code) === true) return;
    // By the edge that was asked to take the session up, and whose answer did not come in time.
    const isOwnDoing = bye.code === 'replaced' && performance.now() < this.#unsureUntilMs;
    if (isOwnDoing || reactionTo(bye, 'resume') !== 'tell') this.#lost(bye.code, 'resume');
    else this.#fail(bye);
  }

  #lost(reason: string, mode: EnterMode, mayBeWholeDatacenter = false): void {
    this.#entered = false;
    const lostUrl = this.#link?.url ?? this.#edges[0];
    this.#drop();
    this.#run += 1;
    const run = this.#run;
    this.#environment.counters.reconnects += 1;
    if (lostUrl !== undefined && mode === 'resume') {
      this.#noteUnreachable(lostUrl);
      this.#edges = withLostEdge(this.#edges, lostUrl, this.#datacenters, Math.random, mayBeWholeDatacenter);
    }
    this.#environment.dispatch({ type: 'socket_lost', reason });
    this.#enter(mode, run, this.#environment.reconnectDeadlineMs, { isReturn: true }).catch(
      (thrown: unknown) => {
        if (run === this.#run) this.#fail(toPageError(thrown));
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

  #check(run: number): void {
    if (run !== this.#run) throw new PlenaryError('session_gone', 'The meeting was left meanwhile.');
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
