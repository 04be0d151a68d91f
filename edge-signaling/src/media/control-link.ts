import {
  AnswerWatch,
  BeatWatch,
  callFrom,
  ignoreWallClock,
  leftOut,
  CONTROL_BEAT_MS,
  CONTROL_LINK_LIMITS,
  CONTROL_NOTICES,
  CONTROL_REQUESTS,
  CONTROL_TIMEOUT_MS,
  CONTROL_VERSION,
  LinkCaller,
  readRefusal,
  notice,
  PLACED_PEER,
  QUESTION_TIMEOUT_MS,
  PlenaryError,
  toPlenaryError,
  after,
  guardCallback,
  every,
  inBackground,
} from '@plenary/cluster';
import type {
  AuthorityFile,
  Clock,
  ControlCaller,
  ControlIdentity,
  ControlNotice,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  Logger,
  NoticeRoute,
  PlacedPeer,
  RareLines,
} from '@plenary/cluster';
import type { Incarnation, MediaNodeId } from '@plenary/cluster/ids';
import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import type { EdgeMetrics, ReportFault } from '../metrics.ts';
import {
  describeFailure,
  hasStopped,
  isRefusal,
  LINK_ADVICE,
  RECONNECT_FIRST_MS,
  RECONNECT_LATEST_MS,
  reconnectAfterMs,
  linkTroubleOf,
  troubleOfFailure,
} from './link-trouble.ts';
import type { LinkLoss, LinkTrouble } from './link-trouble.ts';
import { noticeRoutes } from './notice-routes.ts';
import type { NoticeListener } from './notice-routes.ts';
import { UpWaiters } from './up-waiters.ts';

/** How long a handshake may take before the edge starts another one, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;
/** How many beats may be missing before a media node counts as gone. */
const MISSED_BEATS = 3;
/** How often the edge checks whether beats have stopped. */
const CHECK_BEATS_MS = 100;
/**
 * How long a node may answer nothing before the edge sends it a question, in milliseconds. Peers may request nothing for an hour,
 * and an edge without peers there has to know whether the node answers before it places one (SPEC HL40).
 */
const ASK_AFTER_MS = 5_000;
/** The peer that the question names if this edge has none on the node: the node answers that it hosts no such peer. */
const NOBODY = PLACED_PEER.parse({ roomId: 'nobody/nowhere', peerId: 'nobody', epoch: 1 });

/** Receives the notices of a link's node and the changes of the link. */
export interface ControlLinkListener extends NoticeListener {
  /** The link is up. `incarnation` differs from the last one if the node was started again. */
  onUp(
    link: Pick<ControlLink, 'mediaNodeId' | 'incarnation' | 'isUp' | 'call'>,
    incarnation: Incarnation,
  ): void;
  /** The link is down and tries to connect again. Called again with `refused` if the node's process turns out to be gone. */
  onDown(link: Pick<ControlLink, 'mediaNodeId'>, why: LinkLoss): void;
}

export interface ControlLinkSettings {
  readonly mediaNodeId: MediaNodeId;
  readonly controlUrl: string;
  /** The keys by which the edge proves itself and verifies the node. */
  readonly identity: ControlIdentity;
  /** The certificate authority that nodes with TLS are verified by; default: the authorities that Node.js trusts. */
  readonly caFile: AuthorityFile | undefined;
  readonly caller: ControlCaller;
  readonly listener: ControlLinkListener;
  /** Reads the registry and resolves to whether it still announces the node; also `true` when it cannot be read. */
  readonly isAnnounced: () => Promise<boolean>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Shared by all links, because an attacker who can write to the registry decides how many of them fail. */
  readonly lines: RareLines;
  readonly metrics: EdgeMetrics;
  readonly reportFault: ReportFault;
}

/** The link of this edge to one media node: reconnects automatically until it is closed (SPEC CL2). */
export class ControlLink {
  readonly mediaNodeId: MediaNodeId;
  readonly controlUrl: string;
  readonly #settings: ControlLinkSettings;
  readonly #socket: Socket;
  /** Authenticates both ends and seals each message on the socket. */
  readonly #caller: LinkCaller;
  readonly #beats: BeatWatch;
  readonly #timer: NodeJS.Timeout;
  readonly #answers: AnswerWatch<PlacedPeer>;
  #lastRequest: unknown;
  #answeredAtMs = 0;
  readonly #waiters = new UpWaiters(() => this.#isUp);
  #incarnation: Incarnation | undefined;
  #isUp = false;
  #wasUp = false;
  /** Whether the link was up, is down, and its listener was not notified yet that the node's process is gone. */
  #mayBeRefused = false;
  #isClosed = false;
  /** Whether the node stopped in an orderly way since the link was last up. */
  #hasStopped: Promise<boolean> = Promise.resolve(false);
  #downSinceMs: number;
  #lastFailure = '';
  #trouble: LinkTrouble | undefined;
  /** The time that the node's wall clock showed when the monotonic clock of this process began. */
  #nodeOriginMs: number | undefined;
  /** How often the node has authenticated and sent its hello. */
  #connections = 0;

  constructor(settings: ControlLinkSettings) {
    this.#settings = settings;
    this.mediaNodeId = settings.mediaNodeId;
    this.controlUrl = settings.controlUrl;
    this.#downSinceMs = settings.clock.monotonicMs();
    this.#beats = new BeatWatch({
      clock: settings.clock,
      beatMs: CONTROL_BEAT_MS,
      silentMs: MISSED_BEATS * CONTROL_BEAT_MS,
    });
    this.#caller = new LinkCaller({
      identity: settings.identity,
      caller: settings.caller,
      mediaNodeId: settings.mediaNodeId,
      routes: this.#routes(),
      onMalformed: (detail) => this.#malformed(detail),
      onRefused: (error) => this.#refuse(linkTroubleOf(error, this.#isUp), error.message),
    });
    this.#answers = new AnswerWatch({
      ask: async (about) => {
        await callFrom(this.#caller, CONTROL_REQUESTS, 'peer.ask', about, QUESTION_TIMEOUT_MS);
        this.#noteAnswer();
      },
      connection: () => (this.#caller.connected ? this.#connections : undefined),
      onMute: () => this.#setMute(),
    });
    this.#socket = io(settings.controlUrl, {
      ...CONTROL_LINK_LIMITS,
      ...(settings.caFile === undefined ? {} : { ca: settings.caFile.current() }),
      transports: ['websocket'],
      forceNew: true,
      timeout: CONNECT_TIMEOUT_MS,
      reconnectionDelay: RECONNECT_FIRST_MS,
      reconnectionDelayMax: RECONNECT_LATEST_MS,
      randomizationFactor: 0.3,
      auth: this.#caller.auth,
    });
    ignoreWallClock(this.#socket);
    const { caFile } = settings;
    if (caFile !== undefined) {
      const manager = this.#socket.io;
      manager.on(
        'reconnect_attempt',
        guardCallback('control_link', () => {
          manager.opts.ca = caFile.current();
        }),
      );
    }
    this.#caller.attach(this.#socket);
    this.#listen();
    this.#timer = every(CHECK_BEATS_MS, () => {
      this.#checkBeats();
      this.#checkAnswers();
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** How long the link has been down, in milliseconds; 0 while it is up. */
  downForMs(): number {
    return this.#isUp ? 0 : this.#settings.clock.monotonicMs() - this.#downSinceMs;
  }

  /** Why the link is not up; `undefined` while it is, and until the first attempt has failed. */
  get trouble(): LinkTrouble | undefined {
    return this.#isUp ? undefined : this.#trouble;
  }

  /** How far the clock of this edge is ahead of the node's, in milliseconds; `undefined` if the node sent no time. */
  get clockOffsetMs(): number | undefined {
    const { clock } = this.#settings;
    return this.#isUp && this.#nodeOriginMs !== undefined
      ? clock.wallMs() - clock.monotonicMs() - this.#nodeOriginMs
      : undefined;
  }

  /** The run of the node that sent the last hello. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /**
   * Sends a request to the media node.
   * @throws PlenaryError the node's error; `media_unavailable` when the link is down; `timed_out`
   */
  async call<Name extends ControlRequestName>(
    name: Name,
    payload: ControlRequestInput<Name>,
    timeoutMs = CONTROL_TIMEOUT_MS,
  ): Promise<ControlReply<Name>> {
    const { metrics, clock } = this.#settings;
    const startedMs = clock.monotonicMs();
    try {
      if (!this.#isUp) throw new PlenaryError('media_unavailable', `The control link is down (${name}).`);
      this.#lastRequest = payload;
      const reply = await callFrom(this.#caller, CONTROL_REQUESTS, name, payload, timeoutMs);
      metrics.controlCalls.inc({ name, result: 'ok' });
      this.#noteAnswer();
      return reply;
    } catch (thrown) {
      const { code } = toPlenaryError(thrown);
      metrics.controlCalls.inc({ name, result: code });
      const about = code === 'timed_out' ? PLACED_PEER.safeParse(payload) : undefined;
      if (about?.success === true) this.#answers.doubt(about.data);
      throw thrown;
    } finally {
      metrics.controlCallSeconds.observe({ name }, (clock.monotonicMs() - startedMs) / 1_000);
    }
  }

  /** Whether a request waits until the link is up. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  /** Waits until the link is up, for `withinMs` at most; 0 does not wait. @returns whether the link is up */
  async whenUp(withinMs: number): Promise<boolean> {
    return this.#waiters.wait(withinMs);
  }

  /** Closes the link permanently: the edge stops, or the node is no longer announced. */
  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#setDown('broken', 'closed by this edge');
    this.#socket.disconnect();
    this.#waiters.finish();
  }

  #routes(): Readonly<Record<string, NoticeRoute>> {
    const malformed = (detail: string): void => this.#malformed(detail);
    return {
      hello: notice(CONTROL_NOTICES.hello, (hello) => this.#onHello(hello), malformed),
      beat: notice(CONTROL_NOTICES.beat, () => this.#beats.beat(), malformed),
      ...noticeRoutes(this.mediaNodeId, this.#settings.listener, malformed),
    };
  }

  #malformed(detail: string): void {
    const error = new PlenaryError('malformed_message', detail);
    this.#settings.reportFault('control_notice', error, this.#names());
  }

  #listen(): void {
    const { listener } = this.#settings;
    this.#socket.on(
      'connect_error',
      guardCallback('control_link', (error) => {
        // Socket.IO retries automatically if the node did not answer, but not if it refused this edge.
        if (this.#socket.active) inBackground(() => this.#onFailure(error));
        else this.#refuse(readRefusal(error), error.message);
        if (this.#mayBeRefused && isRefusal(error)) {
          this.#mayBeRefused = false;
          listener.onDown(this, 'refused');
        }
      }),
    );
    this.#socket.on(
      'disconnect',
      guardCallback('control_link', (reason) => {
        const wasUp = this.#isUp;
        this.#setDown('broken', reason);
        // Socket.IO does not reconnect automatically after the node closed the connection.
        if (reason === 'io server disconnect') this.#connectAgain(wasUp);
      }),
    );
  }

  #onHello(hello: ControlNotice<'hello'>): void {
    if (hello.mediaNodeId !== this.mediaNodeId) {
      this.#refuse('other_node', `the node there is ${hello.mediaNodeId}`);
    } else if (hello.controlVersion !== CONTROL_VERSION) {
      this.#refuse(
        'other_version',
        `it speaks control version ${hello.controlVersion}, this edge ${CONTROL_VERSION}`,
      );
    } else if (!this.#isUp) {
      this.#incarnation = hello.incarnation;
      this.#nodeOriginMs =
        hello.wallMs === undefined ? undefined : hello.wallMs - this.#settings.clock.monotonicMs();
      this.#connections += 1;
      if (this.#answers.isMute) inBackground(() => this.#setUpWhenAnswered(hello.incarnation));
      else this.#setUp(hello.incarnation);
    }
  }

  async #setUpWhenAnswered(incarnation: Incarnation): Promise<void> {
    if (await this.#answers.untilAnswered()) this.#setUp(incarnation);
  }

  #setUp(incarnation: Incarnation): void {
    this.#isUp = true;
    this.#wasUp = true;
    this.#mayBeRefused = false;
    this.#lastFailure = '';
    this.#hasStopped = Promise.resolve(false);
    this.#trouble = undefined;
    this.#beats.restart();
    this.#noteAnswer();
    this.#settings.logger.info(this.#names(), 'control link open');
    this.#settings.listener.onUp(this, incarnation);
    this.#waiters.finish();
  }

  /** The node beats but answers no request: its peers can change nothing, so they are moved. */
  #setMute(): void {
    this.#settings.metrics.faults.inc({ where: 'control_link' });
    this.#settings.logger.error(
      { ...this.#names(), cause: 'no_answer', toDo: LINK_ADVICE.no_answer },
      'media node beats but answers no request; moving its peers until it answers',
    );
    this.#setDown('silent', 'no request is answered');
    this.#trouble = 'no_answer';
    this.#socket.disconnect();
    this.#socket.connect();
  }

  /** One end failed to prove itself to the other, or they are of different releases: an operator must act. */
  #refuse(trouble: LinkTrouble, why: string): void {
    if (why !== this.#lastFailure) {
      this.#lastFailure = why;
      this.#settings.metrics.faults.inc({ where: 'control_link' });
      const detail = { ...this.#names(), why, cause: trouble, toDo: LINK_ADVICE[trouble] };
      this.#say('error', `refused ${trouble}`, detail, 'control link refused; connecting again');
    }
    const wasUp = this.#isUp;
    this.#socket.disconnect();
    this.#trouble = trouble;
    this.#connectAgain(wasUp);
  }

  #connectAgain(wasUp: boolean): void {
    after(reconnectAfterMs(wasUp), () => {
      if (!this.#isClosed && !this.#socket.active) this.#socket.connect();
    }).unref();
  }

  #checkBeats(): void {
    if (!this.#beats.hasStopped() || !this.#isUp) return;
    this.#setDown('silent', 'beats stopped');
    // Reconnects at once: the ping would find a silently dead connection much later.
    this.#socket.disconnect();
    this.#socket.connect();
  }

  #noteAnswer(): void {
    this.#answeredAtMs = this.#settings.clock.monotonicMs();
  }

  /** Checks whether a node that received no request for a while still answers. */
  #checkAnswers(): void {
    if (!this.#isUp || this.#settings.clock.monotonicMs() - this.#answeredAtMs < ASK_AFTER_MS) return;
    const about = PLACED_PEER.safeParse(this.#lastRequest);
    this.#answers.doubt(about.success ? about.data : NOBODY);
  }

  #setDown(why: LinkLoss, reason: string): void {
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#mayBeRefused = !this.#isClosed;
    this.#trouble = 'lost';
    this.#downSinceMs = this.#settings.clock.monotonicMs();
    const { logger, listener } = this.#settings;
    if (this.#isClosed) logger.info(this.#names(), 'control link closed by this edge');
    else inBackground(() => this.#noteLoss(reason));
    listener.onDown(this, why);
  }

  /** Logs why the link is down: an orderly stop of the node is expected, any other loss is a warning (SPEC LC22). */
  async #noteLoss(reason: string): Promise<void> {
    const { logger, isAnnounced } = this.#settings;
    this.#hasStopped = hasStopped(reason, isAnnounced);
    if (await this.#hasStopped) logger.info(this.#names(), 'media node stopped; its control link is closed');
    else logger.warn({ ...this.#names(), reason }, 'control link lost; connecting again');
  }

  async #onFailure(failure: Error): Promise<void> {
    const why = describeFailure(failure);
    this.#trouble = troubleOfFailure(failure);
    // A stopped node is not expected to answer, so this is no fault and needs no warning.
    if (await this.#hasStopped) return;
    if (this.#isUp || this.#isClosed) return;
    // Each attempt fails in the same way: only the first one is logged.
    if (why === this.#lastFailure) return;
    this.#lastFailure = why;
    const trouble = troubleOfFailure(failure);
    const detail = { ...this.#names(), why, cause: trouble, toDo: LINK_ADVICE[trouble] };
    this.#settings.metrics.faults.inc({ where: 'control_link' });
    // A node that was reachable before may come back without help; if it never was, an operator must act.
    const what = 'media node unreachable; connecting again';
    if (this.#wasUp) this.#say('warn', `unopened ${trouble} again`, detail, what);
    else this.#say('error', `unopened ${trouble}`, detail, what);
  }

  #say(level: 'warn' | 'error', kind: string, detail: Record<string, unknown>, what: string): void {
    const { logger, lines } = this.#settings;
    lines.say(
      kind,
      (...unsaid) => {
        logger[level]({ ...detail, ...leftOut(...unsaid) }, what);
      },
      this.mediaNodeId,
    );
  }

  #names(): Record<string, unknown> {
    return { mediaNodeId: this.mediaNodeId, controlUrl: this.controlUrl };
  }
}
