import { generateKeyPairSync, randomInt } from 'node:crypto';
import { PlenaryError } from '@plenary/cluster/errors';
import type { ErrorCode } from '@plenary/cluster/errors';
import { PROTOCOL_VERSION, REQUEST_ID, ROOM_ID, SESSION_KEY, TRANSPORT_ID } from '@plenary/cluster/protocol';
import type {
  ClientReply,
  ConsumerId,
  ConsumerOffer,
  MediaKind,
  RoomSnapshot,
  Session,
  TrackId,
  TransportId,
} from '@plenary/cluster/protocol';
import { describeSending, receivingCapabilities } from './bot-capabilities.ts';
import { EdgeConnection } from './edge-connection.ts';
import type { Notice } from './edge-connection.ts';
import { MediaLink } from './media-link.ts';
import { isRtcp, keyFramesAskedFor, readRtpSsrc } from './rtp-packet.ts';
import { RtpSource } from './rtp-source.ts';

/** As the web client's own (`web/src/client/backoff.ts`). */
const JOIN_DEADLINE_MS = 20_000;
const RETRY_BASE_MS = 500;
const RETRY_CAP_MS = 8_000;

export interface BotOptions {
  readonly edgeUrl: string;
  readonly roomId: string;
  readonly token: string;
  readonly name: string;
  /** Whether the join opens a transport for sending. */
  readonly canPublish: boolean;
  /** Whether tracks that appear later are subscribed to. Those that the join brings always are. */
  readonly subscribes?: boolean;
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
}

interface Reception {
  readonly offer: ConsumerOffer;
  packets: number;
}

/** A person in a meeting, without a screen: joins, publishes stored media, counts what arrives, leaves. */
export class Bot {
  readonly session: Session;
  readonly room: RoomSnapshot;
  /** Codes of the retryable errors that the join met before it succeeded. */
  readonly refusals: readonly ErrorCode[];
  readonly #edge: EdgeConnection;
  readonly #receive: MediaLink;
  readonly #send: MediaLink | undefined;
  readonly #sendTransportId: TransportId | undefined;
  readonly #receptions = new Map<ConsumerId, Reception>();
  readonly #bySsrc = new Map<number, Reception>();
  readonly #sources = new Map<TrackId, { readonly source: RtpSource; readonly timer: NodeJS.Timeout }>();
  readonly #firstPacket = Promise.withResolvers<void>();
  readonly #subscribes: boolean;
  readonly #beganMs: number;
  readonly #timings: { socketOpen: number; joinAnswered: number; firstPacket?: number };
  #problems: string[] = [];
  #left = false;

  private constructor(parts: {
    readonly reply: ClientReply<'join'>;
    readonly refusals: readonly ErrorCode[];
    readonly edge: EdgeConnection;
    readonly receive: MediaLink;
    readonly send: MediaLink | undefined;
    readonly subscribes: boolean;
    readonly beganMs: number;
    readonly socketOpen: number;
  }) {
    const { reply, refusals, edge, receive, send, subscribes, beganMs, socketOpen } = parts;
    this.session = reply.session;
    this.room = reply.room;
    this.refusals = refusals;
    this.#edge = edge;
    this.#receive = receive;
    this.#send = send;
    this.#subscribes = subscribes;
    this.#beganMs = beganMs;
    this.#timings = { socketOpen, joinAnswered: performance.now() - beganMs };
    for (const consumer of reply.media.consumers) this.#expect(consumer);
    receive.open(reply.media.receiveTransport);
    const { sendTransport } = reply.media;
    if (send !== undefined && sendTransport !== undefined) {
      this.#sendTransportId = TRANSPORT_ID.parse(sendTransport.id);
      send.open(sendTransport);
    }
  }

  /** @throws PlenaryError what the edge refused with; nothing is left open then */
  static async join(options: BotOptions): Promise<Bot> {
    let bot: Bot | undefined;
    const early: Notice[] = [];
    // Certificates are made before the clock starts, as the pre-join page of a client does.
    const receive = new MediaLink(options.name, 'receive', (packet) => bot?.takePacket(packet));
    const send = options.canPublish
      ? new MediaLink(options.name, 'send', (packet) => bot?.takeFeedback(packet))
      : undefined;
    const beganMs = performance.now();
    let edge: EdgeConnection | undefined;
    try {
      edge = await EdgeConnection.open(options.edgeUrl, {
        notice: (notice) => {
          if (bot === undefined) early.push(notice);
          else bot.takeNotice(notice);
        },
        lost: (reason) => bot?.note(`connection lost: ${reason}`),
      });
      const socketOpen = performance.now() - beganMs;
      const refusals: ErrorCode[] = [];
      const reply = await requestJoin(edge, options, { receive, send }, refusals);
      const subscribes = options.subscribes ?? true;
      bot = new Bot({ reply, refusals, edge, receive, send, subscribes, beganMs, socketOpen });
    } catch (error) {
      edge?.close();
      receive.close();
      send?.close();
      throw error;
    }
    for (const notice of early) bot.takeNotice(notice);
    return bot;
  }

  /** Resolves when media can flow towards the bot; with consumers, when the first packet has come. */
  async mediaArrived(timeoutMs: number): Promise<void> {
    const expected = this.#receptions.size > 0;
    const arrived = Promise.all([this.#receive.connected, expected ? this.#firstPacket.promise : undefined]);
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
    const { iceConnectedMs, dtlsConnectedMs } = this.#receive.times;
    return {
      ...this.#timings,
      ...(iceConnectedMs === undefined ? {} : { iceConnected: iceConnectedMs - this.#beganMs }),
      ...(dtlsConnectedMs === undefined ? {} : { dtlsConnected: dtlsConnectedMs - this.#beganMs }),
    };
  }

  get received(): readonly ReceivedStream[] {
    return [...this.#receptions.values()].map(({ offer, packets }) => ({
      trackId: offer.trackId,
      kind: offer.kind,
      packets,
    }));
  }

  /** What went wrong meanwhile; empty in a healthy run. */
  get problems(): readonly string[] {
    const { malformed } = this.#edge;
    return malformed === 0 ? this.#problems : [...this.#problems, `${malformed} malformed notices`];
  }

  /**
   * Publishes a track of stored frames: a tone of 440 Hz, or a moving square of 64 × 64 pixels.
   * @param intervalMs - between two packets; by default 20 ms for audio and 100 ms for video
   */
  async publish(kind: MediaKind, intervalMs = kind === 'audio' ? 20 : 100): Promise<TrackId> {
    const send = this.#send;
    const transportId = this.#sendTransportId;
    if (send === undefined || transportId === undefined)
      throw new Error('this bot has no transport for sending');
    const stream = {
      ssrc: randomInt(1, 0xffff_ffff),
      mid: String(this.#sources.size),
      cname: this.session.peerId,
    };
    const { rtpParameters, ...description } = describeSending(kind, stream);
    await send.connected;
    const { trackId } = await this.#edge.request('track.publish', {
      requestId: newRequestId(),
      transportId,
      kind,
      source: kind === 'audio' ? 'microphone' : 'camera',
      rtpParameters,
      paused: false,
    });
    const source = new RtpSource({ ...description, ...stream, kind, intervalMs, sound: 'tone' });
    const timer = setInterval(() => {
      send.send(source.next());
    }, intervalMs);
    this.#sources.set(trackId, { source, timer });
    return trackId;
  }

  async subscribe(trackIds: readonly TrackId[]): Promise<void> {
    const { consumers, failed } = await this.#edge.request('subscribe', { trackIds: [...trackIds] });
    for (const consumer of consumers) this.#expect(consumer);
    for (const { trackId, error } of failed) this.note(`${trackId}: ${error.code}`);
    const paused = consumers.filter((consumer) => consumer.paused);
    if (paused.length === 0) return;
    await this.#edge.request('consumers.update', {
      consumers: paused.map(({ consumerId }) => ({ consumerId, paused: false })),
    });
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
      this.#receive.close();
      this.#send?.close();
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
    reception.packets += 1;
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
      this.#send?.send(source.next());
    }
  }

  /** For the bot's own parts. */
  takeNotice(notice: Notice): void {
    switch (notice.name) {
      case 'event': {
        const { event } = notice.payload;
        if (event.type !== 'track.published' || !this.#subscribes) return;
        if (event.track.peerId === this.session.peerId) return;
        const { trackId } = event.track;
        this.subscribe([trackId]).catch((error: unknown) => {
          this.note(`subscribing to ${trackId}: ${String(error)}`);
        });
        return;
      }
      case 'consumer.closed':
        this.#forget(notice.payload.consumerId);
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
      case 'track.demand':
      case 'speakers':
      case 'session.renewed':
        return;
    }
  }

  #expect(offer: ConsumerOffer): void {
    const reception: Reception = { offer, packets: 0 };
    this.#receptions.set(offer.consumerId, reception);
    for (const { ssrc } of offer.rtpParameters.encodings ?? []) {
      if (ssrc !== undefined) this.#bySsrc.set(ssrc, reception);
    }
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
  edge: EdgeConnection,
  options: BotOptions,
  links: { readonly receive: MediaLink; readonly send: MediaLink | undefined },
  refusals: ErrorCode[],
): Promise<ClientReply<'join'>> {
  const { receive, send } = links;
  const deadlineMs = performance.now() + JOIN_DEADLINE_MS;
  const request = {
    protocolVersion: PROTOCOL_VERSION,
    requestId: newRequestId(),
    roomId: ROOM_ID.parse(options.roomId),
    token: options.token,
    displayName: options.name,
    // A bot never resumes: the private half is not kept.
    sessionKey: SESSION_KEY.parse(
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }),
    ),
    media: {
      rtpCapabilities: receivingCapabilities(),
      publish: send !== undefined,
      dtls: {
        receive: receive.dtlsParameters,
        ...(send === undefined ? {} : { send: send.dtlsParameters }),
      },
    },
  };
  for (;;) {
    try {
      return await edge.request('join', request);
    } catch (error) {
      if (!(error instanceof PlenaryError) || !error.retryable || performance.now() > deadlineMs) throw error;
      const boundMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** refusals.length);
      refusals.push(error.code);
      await new Promise((resolve) => setTimeout(resolve, Math.random() * boundMs));
    }
  }
}

function newRequestId() {
  return REQUEST_ID.parse(crypto.randomUUID());
}
