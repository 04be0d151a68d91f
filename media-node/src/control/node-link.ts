import { io } from 'socket.io-client';
import type { Socket } from 'socket.io-client';
import {
  AnswerWatch,
  CONTROL_BEAT_MS,
  CONTROL_LINK_LIMITS,
  CONTROL_NOTICES,
  CONTROL_REQUESTS,
  CONTROL_TIMEOUT_MS,
  CONTROL_VERSION,
  LinkCaller,
  PlenaryError,
  QUESTION_TIMEOUT_MS,
  TRACK_ID,
  answers,
  callFrom,
  ignoreWallClock,
  notice,
  toPlenaryError,
  after,
  guardCallback,
  every,
} from '@plenary/cluster';
import type {
  AnnouncedAddresses,
  AuthorityFile,
  ControlCaller,
  ControlIdentity,
  ControlNotice,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  MediaNodeId,
  MediaNodeRecord,
  NoticeRoute,
  RoomId,
  RouterId,
  TrackId,
} from '@plenary/cluster';
import type { HomeSide, PipeKey, RemoteNode } from '../pipe/home-side.ts';
import type { FaultSink } from '../room/room-context.ts';

/** Longest time for a handshake, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Number of consecutive beats that may be missing before the link counts as broken. */
const MISSED_BEATS = 4;
/** A track id that no node hosts, so that the answer comes at once. */
const NO_TRACK = TRACK_ID.parse('none');

/** A request that a live node can answer whatever the state of its workers and the store. */
export type ProbeRequest = ControlRequestInput<'pipe.locate'>;

export interface NodeLinkOptions {
  readonly record: MediaNodeRecord;
  readonly identity: ControlIdentity;
  readonly caFile: AuthorityFile | undefined;
  readonly caller: ControlCaller;
  readonly onPipeProducer: (notice: ControlNotice<'pipe.producer'>) => void;
  readonly onPipeClosed: (notice: ControlNotice<'pipe.closed'>) => void;
  readonly onPipeMoved: (notice: ControlNotice<'pipe.moved'>) => void;
  /** The request that a mute node left unanswered: the link is used only after it answers that. */
  readonly unanswered: ProbeRequest | undefined;
  /** The node accepts requests and answers none; the link is about to close. */
  readonly onMute: (question: ProbeRequest) => void;
  /** Called once when the link closed, whichever side closed it. */
  readonly onClosed: () => void;
  readonly onFault: FaultSink;
  /** The link closes after nothing held it for this long, in milliseconds. */
  readonly idleMs: number;
}

/**
 * The control link of this node to another one, over a single connection. When it breaks, both sides close the pipes
 * over it, and the next request opens another link.
 */
export class NodeLink implements RemoteNode {
  readonly mediaNodeId: MediaNodeId;
  readonly addresses: AnnouncedAddresses;
  #machineId: string | undefined;
  #pipeAddresses: readonly string[] = [];
  readonly #options: NodeLinkOptions;
  readonly #socket: Socket;
  /** Authenticates and encrypts the messages on the socket. */
  readonly #caller: LinkCaller;
  readonly #answers: AnswerWatch<ProbeRequest>;
  readonly #holders = new Set<() => void>();
  #idleTimer: NodeJS.Timeout | undefined;
  #beatTimer: NodeJS.Timeout | undefined;
  #missedBeats = 0;
  /** Handlers of the two outcomes of an attempt to open the link. */
  #onHello: (hello: ControlNotice<'hello'>) => void = () => undefined;
  #onFailed: (cause: unknown) => void = () => undefined;
  #closed = false;

  private constructor(options: NodeLinkOptions) {
    this.#options = options;
    this.mediaNodeId = options.record.mediaNodeId;
    this.addresses = options.record;
    this.#caller = new LinkCaller({
      identity: options.identity,
      caller: options.caller,
      mediaNodeId: this.mediaNodeId,
      routes: this.#routes(),
      onMalformed: (detail) => {
        this.#malformed(detail);
      },
      onRefused: (error) => {
        this.#onFailed(error);
      },
    });
    this.#answers = new AnswerWatch({
      ask: (question) => this.#probe(question),
      connection: () => (this.#closed ? undefined : 1),
      onMute: (question) => {
        this.#reportMute(question);
      },
    });
    this.#socket = io(options.record.controlUrl, {
      ...CONTROL_LINK_LIMITS,
      ...(options.caFile === undefined ? {} : { ca: options.caFile.current() }),
      transports: ['websocket'],
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      timeout: CONNECT_TIMEOUT_MS,
      auth: this.#caller.auth,
    });
    ignoreWallClock(this.#socket);
    this.#caller.attach(this.#socket);
  }

  /**
   * Opens a link and waits for the other node's `hello`, and for the answer that a mute node still owes.
   * @throws PlenaryError `media_unavailable`
   */
  static async open(options: NodeLinkOptions): Promise<NodeLink> {
    const link = new NodeLink(options);
    const { unanswered } = options;
    try {
      await link.#connect();
      if (unanswered !== undefined && !(await answers(() => link.#probe(unanswered))))
        throw new PlenaryError('media_unavailable', `${link.mediaNodeId} does not answer requests.`);
      return link;
    } catch (error) {
      link.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** From its `hello`. */
  get machineId(): string | undefined {
    return this.#machineId;
  }

  /** From its `hello`, which is authenticated and encrypted; the registry is not. */
  get pipeAddresses(): readonly string[] {
    return this.#pipeAddresses;
  }

  async locate(roomId: RoomId, trackId: TrackId): Promise<RouterId> {
    return (await this.#call('pipe.locate', { roomId, trackId })).routerId;
  }

  async relay(roomId: RoomId, homeNodeId: MediaNodeId): Promise<RouterId | null> {
    return (await this.#call('pipe.relay', { roomId, homeNodeId })).routerId;
  }

  homeSide(key: PipeKey): HomeSide {
    return {
      open: async ({ end, toAddress, machineId }) =>
        (
          await this.#call('pipe.open', {
            ...key,
            end,
            ...(toAddress === undefined ? {} : { toAddress }),
            ...(machineId === undefined ? {} : { machineId }),
          })
        ).end,
      consume: (track) => this.#call('pipe.consume', { ...key, ...track }),
      setWanted: async (trackId, wanted) => {
        await this.#call('pipe.demand', { ...key, trackId, wanted });
      },
      release: async (trackId) => {
        await this.#call('pipe.release', { ...key, trackId });
      },
      sentBytes: async () => (await this.#call('pipe.traffic', { ...key })).sentBytes,
      close: async () => {
        // When the link broke, the other side has closed its end already.
        if (!this.#closed) await this.#call('pipe.close', { ...key });
      },
    };
  }

  hold(onBroken: () => void): () => void {
    const holder = (): void => {
      onBroken();
    };
    this.#holders.add(holder);
    clearTimeout(this.#idleTimer);
    if (this.#closed) holder();
    return () => {
      this.#holders.delete(holder);
      this.#closeWhenIdle();
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    clearInterval(this.#beatTimer);
    this.#socket.disconnect();
    this.#socket.removeAllListeners();
    for (const holder of [...this.#holders]) holder();
    this.#holders.clear();
    this.#options.onClosed();
  }

  async #call<Name extends ControlRequestName & `pipe.${string}`>(
    name: Name,
    payload: ControlRequestInput<Name>,
  ): Promise<ControlReply<Name>> {
    try {
      return await callFrom(this.#caller, CONTROL_REQUESTS, name, payload, CONTROL_TIMEOUT_MS);
    } catch (thrown) {
      if (toPlenaryError(thrown).code === 'timed_out') {
        this.#answers.doubt({ roomId: payload.roomId, trackId: NO_TRACK });
      }
      throw thrown;
    }
  }

  #probe(question: ProbeRequest): Promise<unknown> {
    return callFrom(this.#caller, CONTROL_REQUESTS, 'pipe.locate', question, QUESTION_TIMEOUT_MS);
  }

  #reportMute(question: ProbeRequest): void {
    this.#options.onMute(question);
    this.#options.onFault(
      'node_link',
      new PlenaryError('timed_out', `${this.mediaNodeId} accepts requests and answers none.`),
    );
    this.close();
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = after(CONNECT_TIMEOUT_MS, () => {
        reject(new PlenaryError('media_unavailable', `${this.mediaNodeId} sent no hello in time.`));
      });
      const fail = (cause: unknown): void => {
        clearTimeout(timer);
        reject(new PlenaryError('media_unavailable', `No link to ${this.mediaNodeId}.`, { cause }));
      };
      this.#onFailed = fail;
      this.#onHello = (hello) => {
        clearTimeout(timer);
        if (hello.mediaNodeId === this.mediaNodeId && hello.controlVersion === CONTROL_VERSION) resolve();
        else fail(new Error(`hello of ${hello.mediaNodeId}, version ${hello.controlVersion}`));
      };
      this.#socket.on('connect_error', guardCallback('control_link', fail));
      this.#socket.on(
        'disconnect',
        guardCallback('control_link', (reason) => {
          fail(new Error(reason));
          this.close();
        }),
      );
      this.#socket.connect();
    });
  }

  #routes(): Readonly<Record<string, NoticeRoute>> {
    const malformed = (detail: string): void => {
      this.#malformed(detail);
    };
    const { onPipeProducer, onPipeClosed, onPipeMoved } = this.#options;
    return {
      hello: notice(
        CONTROL_NOTICES.hello,
        (hello) => {
          this.#watchBeats();
          this.#closeWhenIdle();
          this.#machineId = hello.machineId;
          this.#pipeAddresses = hello.pipeAddresses ?? [];
          this.#onHello(hello);
        },
        malformed,
      ),
      beat: notice(
        CONTROL_NOTICES.beat,
        () => {
          this.#missedBeats = 0;
        },
        malformed,
      ),
      'pipe.producer': notice(CONTROL_NOTICES['pipe.producer'], onPipeProducer, malformed),
      'pipe.closed': notice(CONTROL_NOTICES['pipe.closed'], onPipeClosed, malformed),
      'pipe.moved': notice(CONTROL_NOTICES['pipe.moved'], onPipeMoved, malformed),
    };
  }

  #malformed(detail: string): void {
    this.#options.onFault('node_link', new PlenaryError('malformed_message', detail));
  }

  /** Counts ticks, not time, so that a stall of this process does not look like a stall of the other one. */
  #watchBeats(): void {
    this.#beatTimer = every(CONTROL_BEAT_MS, () => {
      this.#missedBeats += 1;
      if (this.#missedBeats <= MISSED_BEATS) return;
      this.#options.onFault(
        'node_link',
        new PlenaryError('timed_out', `${this.mediaNodeId} stopped sending beats.`),
      );
      this.close();
    });
  }

  #closeWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    if (this.#holders.size > 0 || this.#closed) return;
    this.#idleTimer = after(this.#options.idleMs, () => {
      this.close();
    });
  }
}
