import { PlenaryError } from '@plenary/cluster/errors';
import type { ErrorCode } from '@plenary/cluster/errors';
import { PROTOCOL_VERSION, REQUEST_ID, ROOM_NAME } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  MediaKind,
  RoomSnapshot,
  Session,
  TrackId,
  WantedLayer,
} from '@plenary/cluster/protocol';
import { createSessionKey } from '@plenary/web/client';
import type { SessionKey } from '@plenary/web/client';
import { backOff } from './back-off.ts';
import { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
import type { BotLinks } from './bot-media.ts';
import { BotMediaPlace } from './bot-media-place.ts';
import { BotPublications, type PublishOptions } from './bot-publications.ts';
import { BotReceptions, type ReceivedStream } from './bot-receptions.ts';
import { EdgeSession } from './edge-session.ts';
import type { NoticeOfSession } from './edge-session.ts';
import { readRtpSsrc } from './rtp-packet.ts';

/** The same values as the web client's (`web/src/client/backoff.ts`). */
const JOIN_DEADLINE_MS = 20_000;

export interface BotOptions {
  readonly edgeUrl: string;
  readonly roomId: string;
  readonly token: string;
  readonly name: string;
  /** Whether the join opens a transport for sending. */
  readonly canPublish: boolean;
  /** Whether the bot subscribes to tracks that appear later. It always receives those that the join brings. */
  readonly subscribes?: boolean;
  /** Whether the bot subscribes again to a track whose consumer ended while the track did not. */
  readonly resubscribes?: boolean;
  /** The address of this machine that its transports use; 127.0.0.1 by default. */
  readonly bindAddress?: string;
  /** Is called with each RTP packet at once, with its time by `performance.now()`. */
  readonly onPacket?: (trackId: TrackId, packet: Buffer, receiver: Bot) => void;
}

/** When each step of a bot's join was done, in milliseconds since it began; missing steps have not happened. */
export interface BotTimings {
  readonly socketOpen: number;
  readonly joinAnswered: number;
  readonly iceConnected?: number;
  readonly dtlsConnected?: number;
  readonly firstPacket?: number;
}

/** A person in a meeting without a user interface: joins, publishes stored media, counts what arrives, leaves. */
export class Bot {
  readonly session: Session;
  readonly room: RoomSnapshot;
  /** Codes of the retryable errors that the join met before it succeeded. */
  readonly refusals: readonly ErrorCode[];
  readonly #edge: EdgeSession;
  readonly #media: BotMediaPlace;
  readonly #receptions: BotReceptions;
  readonly #publications: BotPublications;
  readonly #firstPacket = Promise.withResolvers<void>();
  readonly #options: BotOptions;
  readonly #beganMs: number;
  readonly #timings: { socketOpen: number; joinAnswered: number; firstPacket?: number };
  #problems: string[] = [];
  #left = false;

  private constructor(parts: {
    readonly reply: ClientReply<'join'>;
    readonly refusals: readonly ErrorCode[];
    readonly edge: EdgeSession;
    readonly links: BotLinks;
    readonly options: BotOptions;
    readonly beganMs: number;
    readonly socketOpen: number;
  }) {
    const { reply, refusals, edge, links, options, beganMs, socketOpen } = parts;
    this.session = reply.session;
    this.room = reply.room;
    this.refusals = refusals;
    this.#edge = edge;
    const note = (problem: string): void => this.note(problem);
    this.#media = new BotMediaPlace(openLinks(reply.media, links), {
      edge,
      options,
      links: {
        received: (packet) => this.takePacket(packet),
        feedback: (packet) => this.takeFeedback(packet),
      },
      move: async () => {
        await this.#publications.move();
        await this.#receptions.move();
      },
      isMoved: () => this.#receptions.isMoved && this.#publications.isMoved,
      settled: () => {
        this.#publications.completeMove();
        this.#receptions.completeMove();
      },
      note,
    });
    this.#receptions = new BotReceptions({
      edge,
      epoch: () => this.#media.newest.epoch,
      changed: () => this.#media.check(),
      note,
    });
    this.#publications = new BotPublications({
      edge,
      cname: reply.session.peerId,
      media: () => this.#media,
      changed: () => this.#media.check(),
    });
    this.#options = options;
    this.#beganMs = beganMs;
    this.#timings = { socketOpen, joinAnswered: performance.now() - beganMs };
    this.#receptions.take(reply.media.consumers);
  }

  /** @throws PlenaryError the edge's refusal, after everything was closed */
  static async join(options: BotOptions): Promise<Bot> {
    let bot: Bot | undefined;
    const early: NoticeOfSession[] = [];
    // Certificates are made before the clock starts, as on a client's pre-join page.
    const links = makeLinks(options, {
      received: (packet) => bot?.takePacket(packet),
      feedback: (packet) => bot?.takeFeedback(packet),
    });
    const key = await createSessionKey();
    const beganMs = performance.now();
    let edge: EdgeSession | undefined;
    try {
      edge = await EdgeSession.open(options.edgeUrl, {
        notice: (notice) => {
          if (bot === undefined) early.push(notice);
          else bot.takeNotice(notice);
        },
        lost: (reason) => bot?.note(`connection lost: ${reason}`),
        problem: (problem) => bot?.note(problem),
      });
      const socketOpen = performance.now() - beganMs;
      const refusals: ErrorCode[] = [];
      const reply = await requestJoin(edge, options, { links, key }, refusals);
      edge.begin(reply, key);
      bot = new Bot({ reply, refusals, edge, links, options, beganMs, socketOpen });
    } catch (error) {
      edge?.close();
      closeLinks(links);
      throw error;
    }
    for (const notice of early) bot.takeNotice(notice);
    await bot.#subscribeToRest();
    return bot;
  }

  /** Resolves when the bot can receive media; if it has consumers, when their first packet has arrived. */
  async mediaArrived(timeoutMs: number): Promise<void> {
    const expected = this.#receptions.size > 0;
    const arrived = Promise.all([
      this.#media.newest.receive.connected,
      expected ? this.#firstPacket.promise : undefined,
    ]);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(new Error(`no media for ${this.session.peerId} after ${timeoutMs} ms`));
      }, timeoutMs);
    });
    try {
      await Promise.race([arrived, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** The id of its media node. */
  get mediaNodeId(): string {
    return this.#media.newest.mediaNodeId;
  }

  get timings(): BotTimings {
    const { iceConnectedMs, dtlsConnectedMs } = this.#media.newest.receive.times;
    return {
      ...this.#timings,
      ...(iceConnectedMs === undefined ? {} : { iceConnected: iceConnectedMs - this.#beganMs }),
      ...(dtlsConnectedMs === undefined ? {} : { dtlsConnected: dtlsConnectedMs - this.#beganMs }),
    };
  }

  get received(): readonly ReceivedStream[] {
    return this.#receptions.streams;
  }

  /** The others' demand for an own track; `undefined` before the first notice. */
  demandFor(trackId: TrackId): WantedLayer | undefined {
    return this.#publications.demandFor(trackId);
  }

  /** Whether the bot was notified that a track has ended. */
  hasEnded(trackId: TrackId): boolean {
    return this.#receptions.hasEnded(trackId);
  }

  /** Everything that went wrong so far; empty in a healthy run. */
  get problems(): readonly string[] {
    const { malformed } = this.#edge;
    return malformed === 0 ? this.#problems : [...this.#problems, `${malformed} malformed notices`];
  }

  /** Publishes a track of stored frames: a tone of 440 Hz, or a moving square of 64 × 64 pixels. */
  publish(kind: MediaKind, options: PublishOptions = {}): Promise<TrackId> {
    return this.#publications.publish(kind, options);
  }

  /** Subscribes to tracks and resumes their consumers; failed ones become problems. */
  async subscribe(trackIds: readonly TrackId[]): Promise<void> {
    const failed = await this.#receptions.subscribe(trackIds);
    for (const { trackId, error } of failed) this.note(`${trackId}: ${error.code}`);
  }

  /** Ends the subscriptions to tracks. */
  async unsubscribe(trackIds: readonly TrackId[]): Promise<void> {
    const consumerIds = this.#receptions.consumersOf(trackIds);
    await this.#edge.request('unsubscribe', { consumerIds, epoch: this.#media.newest.epoch });
    this.#receptions.forget(consumerIds);
  }

  /** Pauses or resumes its consumers of tracks. */
  async setPaused(trackIds: readonly TrackId[], paused: boolean): Promise<void> {
    const consumers = this.#receptions.consumersOf(trackIds).map((consumerId) => ({ consumerId, paused }));
    for (const reception of this.#receptions.of(trackIds)) reception.paused = paused;
    // Nothing arrives for paused consumers.
    this.#media.check();
    await this.#edge.request('consumers.update', { consumers, epoch: this.#media.newest.epoch });
  }

  /** Requests a media check, as a client does that receives nothing. */
  checkMedia(): Promise<ClientReply<'media.check'>> {
    return this.#edge.request('media.check', { epoch: this.#media.newest.epoch });
  }

  /** Sets the highest spatial layer that it wants of these tracks, from 0. */
  async prefer(trackIds: readonly TrackId[], spatialLayer: number): Promise<void> {
    const preferredLayers = { spatialLayer };
    for (const reception of this.#receptions.of(trackIds)) reception.spatialLayer = spatialLayer;
    const consumers = this.#receptions
      .consumersOf(trackIds)
      .map((consumerId) => ({ consumerId, preferredLayers }));
    await this.#edge.request('consumers.update', { consumers });
  }

  /** Subscribes to the room's tracks that did not come with the join: a pipe has to be opened for them first. */
  async #subscribeToRest(): Promise<void> {
    if (this.#options.subscribes === false) return;
    const rest = this.room.tracks.filter(
      ({ trackId, peerId }) => peerId !== this.session.peerId && !this.#receptions.isSettled(trackId),
    );
    if (rest.length > 0) await this.subscribe(rest.map(({ trackId }) => trackId));
  }

  async postChat(text: string): Promise<void> {
    await this.#edge.request('chat.post', { requestId: newRequestId(), text });
  }

  /** Leaves the room, waits for the edge's answer, and closes everything. */
  async leave(): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    this.#publications.close();
    this.#receptions.close();
    try {
      await this.#edge.request('leave', {});
    } finally {
      this.#edge.close();
      this.#media.close();
    }
  }

  /** For the bot's own parts. */
  note(problem: string): void {
    if (!this.#left) this.#problems.push(problem);
  }

  /** For the bot's own parts. */
  takePacket(packet: Buffer): void {
    const ssrc = readRtpSsrc(packet);
    const reception = ssrc === undefined ? undefined : this.#receptions.count(ssrc, packet.length);
    if (reception === undefined) return;
    this.#options.onPacket?.(reception.offer.trackId, packet, this);
    this.#timings.firstPacket ??= performance.now() - this.#beganMs;
    this.#firstPacket.resolve();
  }

  /** For the bot's own parts. */
  takeFeedback(packet: Buffer): void {
    this.#publications.takeFeedback(packet);
  }

  /** For the bot's own parts. */
  takeNotice(notice: NoticeOfSession): void {
    switch (notice.name) {
      case 'event': {
        const { event } = notice.payload;
        if (event.type === 'track.ended') this.#receptions.noteEnded(event.trackId);
        if (event.type !== 'track.published' || this.#options.subscribes === false) return;
        if (event.track.peerId === this.session.peerId) return;
        const { trackId, replaces } = event.track;
        const isReceived = replaces !== undefined && this.#receptions.of([replaces]).length > 0;
        const subscribed = isReceived
          ? this.#receptions.replace(trackId, replaces)
          : this.subscribe([trackId]);
        subscribed.catch((error: unknown) => {
          this.note(`subscribing to ${trackId}: ${String(error)}`);
        });
        return;
      }
      case 'consumer.closed': {
        const { consumerId, trackId } = notice.payload;
        const isWanted = this.#options.resubscribes === true;
        this.#receptions.closed(consumerId, trackId, isWanted).catch((error: unknown) => {
          this.note(`subscribing again to ${trackId}: ${String(error)}`);
        });
        return;
      }
      case 'consumer.superseded':
        this.#receptions
          .superseded(notice.payload.consumerId, notice.payload.trackId)
          .catch((error: unknown) => {
            this.note(`replacing a consumer of ${notice.payload.trackId}: ${String(error)}`);
          });
        return;
      case 'publishing.limited':
        this.note(`sends more than it may: ${notice.payload.step}`);
        return;
      case 'track.demand':
        this.#publications.noteDemand(notice.payload.trackId, notice.payload.wanted);
        return;
      case 'media.move':
        this.#media.move(notice.payload.epoch);
        return;
      case 'media.lost':
        this.note(`media lost: ${notice.payload.reason}`);
        return;
      case 'refused':
      case 'bye':
        this.note(`${notice.name}: ${notice.payload.code}`);
        return;
      case 'head':
      case 'edges':
      case 'speakers':
      case 'session.renewed':
        return;
    }
  }
}

/**
 * Retries a join as the web client does: after a retryable error it sends the same request id again, after a
 * delay with full jitter that doubles.
 */
async function requestJoin(
  edge: EdgeSession,
  options: BotOptions,
  { links, key }: { readonly links: BotLinks; readonly key: SessionKey },
  refusals: ErrorCode[],
): Promise<ClientReply<'join'>> {
  const deadlineMs = performance.now() + JOIN_DEADLINE_MS;
  const request = {
    protocolVersion: PROTOCOL_VERSION,
    requestId: newRequestId(),
    roomId: ROOM_NAME.parse(options.roomId),
    token: options.token,
    displayName: options.name,
    sessionKey: key.publicKey,
    media: mediaRequest(links),
  };
  for (;;) {
    try {
      return await edge.request('join', request);
    } catch (error) {
      if (!(error instanceof PlenaryError) || !error.retryable || performance.now() > deadlineMs) throw error;
      refusals.push(error.code);
      await backOff(refusals.length - 1);
    }
  }
}

function newRequestId() {
  return REQUEST_ID.parse(crypto.randomUUID());
}
