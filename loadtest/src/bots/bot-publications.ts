import { randomInt } from 'node:crypto';
import { Replaceable } from '@plenary/cluster/make-before-break';
import { REQUEST_ID } from '@plenary/cluster/protocol';
import type { ClientRequestInput, MediaKind, TrackId, WantedLayer } from '@plenary/cluster/protocol';
import { describeSending } from './bot-capabilities.ts';
import type { BotMedia } from './bot-media.ts';
import type { EdgeSession } from './edge-session.ts';
import { isRtcp, keyFramesAskedFor } from './rtp-packet.ts';
import { RtpSource } from './rtp-source.ts';

/** Packets that are sent at once at most, after a timer that was late. */
const MOST_MISSED = 100;

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

/** A track of the bot's own. */
interface Sending {
  readonly source: RtpSource;
  readonly timer: NodeJS.Timeout;
  readonly publication: Omit<ClientRequestInput<'track.publish'>, 'requestId' | 'transportId'>;
  /** The track that the edge knows; while media moves, also the one that takes its place. */
  readonly track: Replaceable<TrackId>;
}

export interface BotPublicationsEnvironment {
  readonly edge: EdgeSession;
  readonly cname: string;
  /** What is sent by: while media moves, that which is being left too. */
  readonly media: () => { readonly newest: BotMedia; readonly all: readonly BotMedia[] };
  /** It may be that nobody watches what is being left any more. */
  readonly changed: () => void;
}

/** What a bot sends: stored frames. */
export class BotPublications {
  readonly #environment: BotPublicationsEnvironment;
  readonly #sendings: Sending[] = [];
  /** The last `wanted` told of each own track. */
  readonly #demand = new Map<TrackId, WantedLayer>();

  constructor(environment: BotPublicationsEnvironment) {
    this.#environment = environment;
  }

  /** What it was told that others want of a track of its own; `undefined` until it was told. */
  demandFor(trackId: TrackId): WantedLayer | undefined {
    return this.#demand.get(trackId);
  }

  noteDemand(trackId: TrackId, wanted: WantedLayer): void {
    this.#demand.set(trackId, wanted);
    this.#environment.changed();
  }

  async publish(kind: MediaKind, options: PublishOptions): Promise<TrackId> {
    const {
      intervalMs = kind === 'audio' ? 20 : 100,
      onSend,
      isSending,
      keepsRate = false,
      ...payload
    } = options;
    const { newest } = this.#environment.media();
    if (newest.send === undefined) throw new Error('this bot has no transport for sending');
    const stream = {
      ssrc: randomInt(1, 0xffff_ffff),
      mid: String(this.#sendings.length),
      cname: this.#environment.cname,
    };
    const { rtpParameters, ...description } = describeSending(kind, stream);
    await newest.send.connected;
    const publication = {
      kind,
      source: kind === 'audio' ? 'microphone' : 'camera',
      rtpParameters,
      paused: false,
    } as const;
    const trackId = await this.#announce(publication);
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
        this.#send(packet);
      }
    }, intervalMs);
    const track = this.#newPlace();
    track.dispatch({ type: 'given', item: trackId });
    this.#sendings.push({ source, timer, publication, track });
    return trackId;
  }

  /** Publishes everything on the newest media too, where each track takes the place of the one before it. */
  async move(): Promise<void> {
    for (const { track, publication } of [...this.#sendings]) {
      track.dispatch({ type: 'begin_anew' });
      const { attempt } = track.state;
      try {
        const trackId = await this.#announce({ ...publication, replaces: track.current });
        track.dispatch({ type: 'opened', attempt, item: trackId });
      } finally {
        if (track.awaits(attempt)) track.dispatch({ type: 'failed', attempt });
      }
    }
  }

  /** Whether nobody watches the tracks that are being left. */
  get isMoved(): boolean {
    return this.#sendings.every(
      ({ track: { state } }) => state.phase !== 'overlapping' || this.#demand.get(state.current) === null,
    );
  }

  /** The media of before is closed, and its tracks with it. */
  completeMove(): void {
    for (const { track } of this.#sendings) track.dispatch({ type: 'carries', attempt: track.state.attempt });
  }

  /** RTCP that came for what it sends. */
  takeFeedback(packet: Buffer): void {
    if (!isRtcp(packet)) return;
    const asked = keyFramesAskedFor(packet);
    for (const { source } of this.#sendings) {
      if (!asked.includes(source.ssrc)) continue;
      source.restart();
      this.#send(source.next());
    }
  }

  close(): void {
    for (const { timer } of this.#sendings) clearInterval(timer);
  }

  async #announce(publication: Sending['publication']): Promise<TrackId> {
    const { sendTransportId: transportId, epoch } = this.#environment.media().newest;
    if (transportId === undefined) throw new Error('this bot has no transport for sending');
    const requestId = REQUEST_ID.parse(crypto.randomUUID());
    const { trackId } = await this.#environment.edge.request('track.publish', {
      ...publication,
      requestId,
      transportId,
      epoch,
    });
    return trackId;
  }

  #newPlace(): Replaceable<TrackId> {
    // A track ends with its media, and carries until then: who hears of the newer one late gets it too.
    return new Replaceable<TrackId>({
      open: () => undefined,
      watch: () => this.#environment.changed(),
      promote: () => undefined,
      close: () => undefined,
      missing: () => undefined,
    });
  }

  #send(packet: Buffer): void {
    for (const { send } of this.#environment.media().all) send?.send(packet);
  }
}
