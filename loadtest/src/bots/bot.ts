import { randomInt } from 'node:crypto';
import { PlenaryError } from '@plenary/cluster/errors';
import type { ErrorCode } from '@plenary/cluster/errors';
import { PROTOCOL_VERSION, REQUEST_ID, ROOM_NAME } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ClientRequestInput,
  ConsumerId,
  ConsumerOffer,
  Epoch,
  MediaKind,
  RoomSnapshot,
  Session,
  TrackId,
  WantedLayer,
} from '@plenary/cluster/protocol';
import { createSessionKey } from '@plenary/web/client';
import type { SessionKey } from '@plenary/web/client';
import { backOff } from './back-off.ts';
import { describeSending } from './bot-capabilities.ts';
import { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
import type { BotLinks, BotMedia } from './bot-media.ts';
import { EdgeSession } from './edge-session.ts';
import type { NoticeOfSession } from './edge-session.ts';
import { faultOfConsumer } from './fault-of-consumer.ts';
import { isRtcp, keyFramesAskedFor, readRtpSsrc } from './rtp-packet.ts';
import { RtpSource } from './rtp-source.ts';

/** As the web client's own (`web/src/client/backoff.ts`). */
const JOIN_DEADLINE_MS = 20_000;
/** Packets that are sent at once at most, after a timer that was late. */
const MOST_MISSED = 100;
/** How long a move may take before the old media is closed in any case, in milliseconds. */
const MOVE_WITHIN_MS = 12_000;

export interface BotOptions {
  readonly edgeUrl: string;
  readonly roomId: string;
  readonly token: string;
  readonly name: string;
  /** Whether the join opens a transport for sending. */
  readonly canPublish: boolean;
  /** Whether tracks that appear later are subscribed to. Those that the join brings always are. */
  readonly subscribes?: boolean;
  /** Whether a track is subscribed to again when its consumer ended and the track did not. */
  readonly resubscribes?: boolean;
  /** The address of this machine that its media goes by; 127.0.0.1 unless told. */
  readonly bindAddress?: string;
  /** Told of each RTP packet at once, at `performance.now()`. */
  readonly onPacket?: (trackId: TrackId, packet: Buffer, receiver: Bot) => void;
}

export interface PublishOptions {
  /** Between two packets; by default 20 ms for audio and 100 ms for video. */
  readonly intervalMs?: number;
  /** Video only: payloads are filled up to this size. */
  readonly payloadBytes?: number;
  /** What a late timer missed is sent with the next packet, so that the bitrate is as asked for on a loaded machine too. */
  readonly keepsRate?: boolean;
  /** Asked before each packet; nothing is sent while it says no. */
  readonly isSending?: () => boolean;
  /** Told of each RTP packet just before it is sent. */
  readonly onSend?: (packet: Buffer) => void;
}

/** When each step of a bot's join was done, in milliseconds since it began. What has not happened is absent. */
export interface BotTimings {
  readonly socketOpen: number;
  readonly joinAnswered: number;
  readonly iceConnected?: number;
  readonly dtlsConnected?: number;
  readonly firstPacket?: number;
}

export interface ReceivedStream {
  readonly trackId: TrackId;
  readonly kind: MediaKind;
  readonly packets: number;
  /** RTP headers and payloads, without what SRTP, UDP and IP add. */
  readonly bytes: number;
}

/** A track of the bot's own. */
interface Sending {
  readonly source: RtpSource;
  readonly timer: NodeJS.Timeout;
  readonly publication: Omit<ClientRequestInput<'track.publish'>, 'requestId' | 'transportId'>;
}

interface Reception {
  readonly offer: ConsumerOffer;
  readonly epoch: Epoch;
  /** The consumer whose place it takes with its first packet. */
  replaces: ConsumerId | undefined;
  paused: boolean;
  spatialLayer: number | undefined;
  packets: number;
  bytes: number;
}

/** A person in a meeting, without a screen: joins, publishes stored media, counts what arrives, leaves. */
export class Bot {
  readonly session: Session;
  readonly room: RoomSnapshot;
  /** Where its media is. */
  mediaNodeId: string;
  /** Codes of the retryable errors that the join met before it succeeded. */
  readonly refusals: readonly ErrorCode[];
  readonly #edge: EdgeSession;
  #media: BotMedia;
  /** What it is moving away from. */
  #leaving: BotMedia | undefined;
  readonly #receptions = new Map<ConsumerId, Reception>();
  readonly #bySsrc = new Map<number, Reception>();
  readonly #sources = new Map<TrackId, Sending>();
  /** The last `wanted` told of each own track. */
  readonly #demand = new Map<TrackId, WantedLayer>();
  readonly #endedTracks = new Set<TrackId>();
  /** Whose consumers it could not take: it does not ask for them again. */
  readonly #untakeable = new Set<TrackId>();
  /** Own tracks on the media that is being left. */
  readonly #formerTracks = new Set<TrackId>();
  /** The links of every move. */
  readonly #moves: BotLinks[] = [];
  #moving: Promise<void> | undefined;
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
    this.mediaNodeId = reply.media.mediaNodeId;
    this.refusals = refusals;
    this.#edge = edge;
    this.#media = openLinks(reply.media, links);
    this.#options = options;
    this.#beganMs = beganMs;
    this.#timings = { socketOpen, joinAnswered: performance.now() - beganMs };
    for (const consumer of this.#takeable(reply.media.consumers, reply.media.epoch))
      this.#expect(consumer, reply.media.epoch);
  }

  /** @throws PlenaryError what the edge refused with; nothing is left open then */
  static async join(options: BotOptions): Promise<Bot> {
    let bot: Bot | undefined;
    const early: NoticeOfSession[] = [];
    // Certificates are made before the clock starts, as the pre-join page of a client does.
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

  /** Resolves when media can flow towards the bot; with consumers, when the first packet has come. */
  async mediaArrived(timeoutMs: number): Promise<void> {
    const expected = this.#receptions.size > 0;
    const arrived = Promise.all([
      this.#media.receive.connected,
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

  get timings(): BotTimings {
    const { iceConnectedMs, dtlsConnectedMs } = this.#media.receive.times;
    return {
      ...this.#timings,
      ...(iceConnectedMs === undefined ? {} : { iceConnected: iceConnectedMs - this.#beganMs }),
      ...(dtlsConnectedMs === undefined ? {} : { dtlsConnected: dtlsConnectedMs - this.#beganMs }),
    };
  }

  get received(): readonly ReceivedStream[] {
    return [...this.#receptions.values()].map(({ offer, packets, bytes }) => ({
      trackId: offer.trackId,
      kind: offer.kind,
      packets,
      bytes,
    }));
  }

  /** What it was told that others want of a track of its own; `undefined` until it was told. */
  demandFor(trackId: TrackId): WantedLayer | undefined {
    return this.#demand.get(trackId);
  }

  /** Whether it was told that a track has ended. */
  hasEnded(trackId: TrackId): boolean {
    return this.#endedTracks.has(trackId);
  }

  /** What went wrong meanwhile; empty in a healthy run. */
  get problems(): readonly string[] {
    const { malformed } = this.#edge;
    return malformed === 0 ? this.#problems : [...this.#problems, `${malformed} malformed notices`];
  }

  /** Publishes a track of stored frames: a tone of 440 Hz, or a moving square of 64 × 64 pixels. */
  async publish(kind: MediaKind, options: PublishOptions = {}): Promise<TrackId> {
    const {
      intervalMs = kind === 'audio' ? 20 : 100,
      onSend,
      isSending,
      keepsRate = false,
      ...payload
    } = options;
    const { send, sendTransportId: transportId } = this.#media;
    if (send === undefined || transportId === undefined)
      throw new Error('this bot has no transport for sending');
    const stream = {
      ssrc: randomInt(1, 0xffff_ffff),
      mid: String(this.#sources.size),
      cname: this.session.peerId,
    };
    const { rtpParameters, ...description } = describeSending(kind, stream);
    await send.connected;
    const publication = {
      kind,
      source: kind === 'audio' ? 'microphone' : 'camera',
      rtpParameters,
      paused: false,
    } as const;
    const { trackId } = await this.#edge.request('track.publish', {
      ...publication,
      requestId: newRequestId(),
      transportId,
      epoch: this.#media.epoch,
    });
    const source = new RtpSource({
      ...description,
      ...stream,
      ...payload,
      kind,
      intervalMs,
      sound: 'tone',
    });
    let sentAtMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      const missed = keepsRate ? Math.floor((nowMs - sentAtMs) / intervalMs) : 1;
      if (missed > 0) sentAtMs = nowMs;
      if (isSending?.() === false) return;
      for (let count = 0; count < Math.min(missed, MOST_MISSED); count += 1) {
        const packet = source.next();
        onSend?.(packet);
        this.#sendEverywhere(packet);
      }
    }, intervalMs);
    this.#sources.set(trackId, { source, timer, publication });
    return trackId;
  }

  /** Subscribes to tracks and resumes them; those that cannot be had are told as problems. */
  async subscribe(trackIds: readonly TrackId[]): Promise<void> {
    const failed = await this.#subscribe(trackIds);
    for (const { trackId, error } of failed) this.note(`${trackId}: ${error.code}`);
  }

  /** Ends the subscriptions to tracks. */
  async unsubscribe(trackIds: readonly TrackId[]): Promise<void> {
    const consumerIds = this.#consumersOf(trackIds);
    await this.#edge.request('unsubscribe', { consumerIds, epoch: this.#media.epoch });
    for (const consumerId of consumerIds) this.#forget(consumerId);
  }

  /** Pauses or resumes its subscriptions to tracks. */
  async setPaused(trackIds: readonly TrackId[], paused: boolean): Promise<void> {
    const consumers = this.#consumersOf(trackIds).map((consumerId) => ({ consumerId, paused }));
    for (const reception of this.#receptionsOf(trackIds)) reception.paused = paused;
    await this.#edge.request('consumers.update', { consumers, epoch: this.#media.epoch });
  }

  /** Asks what the media node knows of it, as a client does that gets no media. */
  checkMedia(): Promise<ClientReply<'media.check'>> {
    return this.#edge.request('media.check', { epoch: this.#media.epoch });
  }

  /** Says of which spatial layer at most it wants tracks that it is subscribed to, from 0. */
  async prefer(trackIds: readonly TrackId[], spatialLayer: number): Promise<void> {
    const preferredLayers = { spatialLayer };
    for (const reception of this.#receptionsOf(trackIds)) reception.spatialLayer = spatialLayer;
    const consumers = this.#consumersOf(trackIds).map((consumerId) => ({ consumerId, preferredLayers }));
    await this.#edge.request('consumers.update', { consumers });
  }

  /** To what was in the room and did not come with the join: it takes longer over a pipe that has to be opened first. */
  async #subscribeToRest(): Promise<void> {
    if (this.#options.subscribes === false) return;
    const have = new Set([...this.#receptions.values()].map(({ offer }) => offer.trackId));
    const rest = this.room.tracks.filter(
      ({ trackId, peerId }) =>
        peerId !== this.session.peerId && !have.has(trackId) && !this.#untakeable.has(trackId),
    );
    if (rest.length > 0) await this.subscribe(rest.map(({ trackId }) => trackId));
  }

  async #subscribe(
    trackIds: readonly TrackId[],
    replaces: ReadonlyMap<TrackId, ConsumerId> = new Map(),
  ): Promise<ClientReply<'subscribe'>['failed']> {
    const { epoch } = this.#media;
    const { consumers, failed } = await this.#edge.request('subscribe', { trackIds: [...trackIds], epoch });
    const wished = this.#takeable(consumers, epoch).flatMap((consumer) => {
      const { paused, spatialLayer } = this.#expect(consumer, epoch, replaces.get(consumer.trackId));
      if (consumer.paused === paused && spatialLayer === undefined) return [];
      const preferredLayers = spatialLayer === undefined ? {} : { preferredLayers: { spatialLayer } };
      return [{ consumerId: consumer.consumerId, paused, ...preferredLayers }];
    });
    if (wished.length > 0) await this.#edge.request('consumers.update', { epoch, consumers: wished });
    return failed;
  }

  /** The track comes another way, or another one replaces it: its consumer is let go with the new one's first packet. */
  async #replace(old: ConsumerId, trackId: TrackId): Promise<void> {
    const [failure] = await this.#subscribe([trackId], new Map([[trackId, old]]));
    if (failure !== undefined) this.note(`no other way to ${trackId}: ${failure.error.code}`);
  }

  /** The media node will go: everything is opened elsewhere beside it, and the old media closed when nobody needs it. */
  async #move(from: BotMedia): Promise<void> {
    const links = makeLinks(this.#options, {
      received: (packet) => this.takePacket(packet),
      feedback: (packet) => this.takeFeedback(packet),
    });
    this.#moves.push(links);
    const offer = await this.#edge.request('media.open', { ...mediaRequest(links), moveFrom: from.epoch });
    const next = openLinks(offer, links);
    await Promise.all([next.receive.connected, next.send?.connected]);
    this.#leaving = from;
    this.#media = next;
    this.mediaNodeId = offer.mediaNodeId;
    const { epoch, sendTransportId: transportId } = this.#media;
    for (const [trackId, { publication, ...sending }] of [...this.#sources]) {
      if (transportId === undefined) continue;
      const again = { ...publication, requestId: newRequestId(), transportId, epoch, replaces: trackId };
      const published = await this.#edge.request('track.publish', again);
      this.#sources.delete(trackId);
      this.#sources.set(published.trackId, { publication, ...sending });
      this.#formerTracks.add(trackId);
    }
    const old = new Map([...this.#receptions].map(([consumerId, { offer }]) => [offer.trackId, consumerId]));
    if (old.size > 0) await this.#subscribe([...old.keys()], old);
    await this.#untilMoved();
    await this.#edge.request('media.moved', { epoch });
    this.#leaving = undefined;
    this.#formerTracks.clear();
    closeLinks(from);
  }

  /** Until every track comes by the new media and nobody watches the old ones of its own, or for some seconds. */
  async #untilMoved(): Promise<void> {
    const deadlineMs = performance.now() + MOVE_WITHIN_MS;
    const isMoved = (): boolean =>
      [...this.#receptions.values()].every(({ epoch, paused }) => paused || epoch === this.#media.epoch) &&
      [...this.#formerTracks].every((trackId) => this.#demand.get(trackId) === null);
    while (!this.#left && !isMoved() && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #sendEverywhere(packet: Buffer): void {
    this.#media.send?.send(packet);
    this.#leaving?.send?.send(packet);
  }

  #letGo(consumerId: ConsumerId): void {
    const epoch = this.#receptions.get(consumerId)?.epoch;
    this.#forget(consumerId);
    // What comes by media that is being left ends with it.
    if (epoch !== this.#media.epoch) return;
    this.#edge.request('unsubscribe', { consumerIds: [consumerId], epoch }).catch((error: unknown) => {
      this.note(`letting a consumer go: ${String(error)}`);
    });
  }

  /** Asks for a track whose consumer ended, until it has it or the track is gone too. */
  async #resubscribe(trackId: TrackId): Promise<void> {
    const isWanted = (): boolean => !this.#endedTracks.has(trackId) && !this.#untakeable.has(trackId);
    for (let attempt = 0; !this.#left && isWanted(); attempt += 1) {
      const [failure] = await this.#subscribe([trackId]);
      if (failure === undefined || failure.error.code === 'track_not_found') return;
      if (!failure.error.retryable) {
        this.note(`${trackId}: ${failure.error.code}`);
        return;
      }
      await backOff(attempt);
    }
  }

  async postChat(text: string): Promise<void> {
    await this.#edge.request('chat.post', { requestId: newRequestId(), text });
  }

  /** Leaves the room, waits for the edge's answer, and closes everything. */
  async leave(): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    for (const { timer } of this.#sources.values()) clearInterval(timer);
    try {
      await this.#edge.request('leave', {});
    } finally {
      this.#edge.close();
      for (const links of [this.#media, this.#leaving, ...this.#moves]) closeLinks(links);
    }
  }

  /** For the bot's own parts. */
  note(problem: string): void {
    if (!this.#left) this.#problems.push(problem);
  }

  /** For the bot's own parts. */
  takePacket(packet: Buffer): void {
    const ssrc = readRtpSsrc(packet);
    const reception = ssrc === undefined ? undefined : this.#bySsrc.get(ssrc);
    if (reception === undefined) return;
    if (reception.replaces !== undefined) this.#letGo(reception.replaces);
    reception.replaces = undefined;
    reception.packets += 1;
    reception.bytes += packet.length;
    this.#options.onPacket?.(reception.offer.trackId, packet, this);
    this.#timings.firstPacket ??= performance.now() - this.#beganMs;
    this.#firstPacket.resolve();
  }

  /** For the bot's own parts. */
  takeFeedback(packet: Buffer): void {
    if (!isRtcp(packet)) return;
    const asked = keyFramesAskedFor(packet);
    for (const { source } of this.#sources.values()) {
      if (!asked.includes(source.ssrc)) continue;
      source.restart();
      this.#sendEverywhere(source.next());
    }
  }

  /** For the bot's own parts. */
  takeNotice(notice: NoticeOfSession): void {
    switch (notice.name) {
      case 'event': {
        const { event } = notice.payload;
        if (event.type === 'track.ended') this.#endedTracks.add(event.trackId);
        if (event.type !== 'track.published' || this.#options.subscribes === false) return;
        if (event.track.peerId === this.session.peerId) return;
        const { trackId, replaces } = event.track;
        const old = replaces === undefined ? undefined : this.#consumersOf([replaces])[0];
        const subscribed = old === undefined ? this.subscribe([trackId]) : this.#replace(old, trackId);
        subscribed.catch((error: unknown) => {
          this.note(`subscribing to ${trackId}: ${String(error)}`);
        });
        return;
      }
      case 'consumer.closed': {
        const { consumerId, trackId } = notice.payload;
        this.#forget(consumerId);
        if (this.#options.resubscribes !== true) return;
        this.#resubscribe(trackId).catch((error: unknown) => {
          this.note(`subscribing again to ${trackId}: ${String(error)}`);
        });
        return;
      }
      case 'consumer.superseded':
        this.#replace(notice.payload.consumerId, notice.payload.trackId).catch((error: unknown) => {
          this.note(`replacing a consumer of ${notice.payload.trackId}: ${String(error)}`);
        });
        return;
      case 'publishing.limited':
        this.note(`sends more than it may: ${notice.payload.step}`);
        return;
      case 'track.demand':
        this.#demand.set(notice.payload.trackId, notice.payload.wanted);
        return;
      case 'media.move': {
        const media = this.#media;
        if (notice.payload.epoch !== media.epoch || this.#moving !== undefined) return;
        this.#moving = this.#move(media)
          .catch((error: unknown) => {
            this.note(`moving: ${String(error)}`);
          })
          .finally(() => {
            this.#moving = undefined;
          });
        return;
      }
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

  /** Those of the offers that it can take. Of the others the edge is told, and all else goes on (SPEC MS4). */
  #takeable(offers: readonly ConsumerOffer[], epoch: Epoch): ConsumerOffer[] {
    return offers.filter((offer) => {
      // Asked for twice, by the join and by the event of the same track, the edge answers with one and the same consumer.
      if (this.#receptions.has(offer.consumerId)) return false;
      const fault = faultOfConsumer(offer, (ssrc) => this.#bySsrc.has(ssrc));
      if (fault === undefined) return true;
      const { consumerId, trackId } = offer;
      this.#untakeable.add(trackId);
      this.note(`${trackId} cannot be taken: ${fault}`);
      this.#edge.request('consumer.failed', { consumerId, trackId, epoch }).catch((error: unknown) => {
        this.note(`telling of a consumer that cannot be taken: ${String(error)}`);
      });
      return false;
    });
  }

  #expect(offer: ConsumerOffer, epoch: Epoch, replaces?: ConsumerId): Reception {
    const before = replaces === undefined ? undefined : this.#receptions.get(replaces);
    const reception: Reception = {
      offer,
      epoch,
      replaces,
      paused: before?.paused ?? false,
      spatialLayer: before?.spatialLayer,
      packets: 0,
      bytes: 0,
    };
    this.#receptions.set(offer.consumerId, reception);
    for (const { ssrc } of offer.rtpParameters?.encodings ?? []) {
      if (ssrc !== undefined) this.#bySsrc.set(ssrc, reception);
    }
    return reception;
  }

  #consumersOf(trackIds: readonly TrackId[]): ConsumerId[] {
    return this.#receptionsOf(trackIds).map(({ offer }) => offer.consumerId);
  }

  #receptionsOf(trackIds: readonly TrackId[]): Reception[] {
    const wanted = new Set(trackIds);
    return [...this.#receptions.values()].filter(({ offer }) => wanted.has(offer.trackId));
  }

  #forget(consumerId: ConsumerId): void {
    const reception = this.#receptions.get(consumerId);
    if (reception === undefined) return;
    this.#receptions.delete(consumerId);
    for (const [ssrc, known] of [...this.#bySsrc]) if (known === reception) this.#bySsrc.delete(ssrc);
  }
}

/**
 * Asks until the edge lets it in, as the web client does: what is retryable is asked again under the same id, after a
 * wait of full jitter that doubles.
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
