import { randomInt } from 'node:crypto';
import { Replaceable } from '@plenary/cluster/make-before-break';
import { REQUEST_ID } from '@plenary/cluster/protocol';
import type { ClientRequestInput, MediaKind, TrackId, WantedLayer } from '@plenary/cluster/protocol';
import { describeSending } from './bot-capabilities.ts';
import type { BotMedia } from './bot-media.ts';
import type { EdgeSession } from './edge-session.ts';
import { isRtcp, keyFramesAskedFor } from './rtp-packet.ts';
import { RtpSource } from './rtp-source.ts';

/** How many packets are sent at once at most, after a late timer. */
const MOST_MISSED = 100;

export interface PublishOptions {
  /** The time between two packets, in milliseconds; by default 20 for audio and 100 for video. */
  readonly intervalMs?: number;
  /** Video only: the size to which payloads are padded. */
  readonly payloadBytes?: number;
  /** Whether packets that a late timer missed are sent with the next one, to keep the bitrate on a loaded machine too. */
  readonly keepsRate?: boolean;
  /** Is called before each packet, which is only sent if it returns true. */
  readonly isSending?: () => boolean;
  /** Is called with each RTP packet just before it is sent. */
  readonly onSend?: (packet: Buffer) => void;
}

/** A track that the bot publishes. */
interface Sending {
  readonly source: RtpSource;
  readonly timer: NodeJS.Timeout;
  readonly publication: Omit<ClientRequestInput<'track.publish'>, 'requestId' | 'transportId'>;
  /** The track that the edge knows; during a move also the one that replaces it. */
  readonly track: Replaceable<TrackId>;
}

export interface BotPublicationsEnvironment {
  readonly edge: EdgeSession;
  readonly cname: string;
  /** The transports that send; during a move also those of the old session. */
  readonly media: () => { readonly newest: BotMedia; readonly all: readonly BotMedia[] };
  /** The old session's tracks may have lost their last viewer. */
  readonly changed: () => void;
}

/** A bot's publications, which send stored frames. */
export class BotPublications {
  readonly #environment: BotPublicationsEnvironment;
  readonly #sendings: Sending[] = [];
  /** The last demand notified for each own track. */
  readonly #demand = new Map<TrackId, WantedLayer>();

  constructor(environment: BotPublicationsEnvironment) {
    this.#environment = environment;
  }

  /** The others' demand for an own track; `undefined` before the first notice. */
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
    if (newest.send === undefined) throw new Error('This bot has no sending transport.');
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

  /** Publishes everything on the newest media session too, where each track replaces the one before it. */
  async move(): Promise<void> {
    for (const { track, publication } of [...this.#sendings]) {
      track.dispatch({ type: 'restart' });
      const { attempt } = track.state;
      try {
        const trackId = await this.#announce({ ...publication, replaces: track.current });
        track.dispatch({ type: 'opened', attempt, item: trackId });
      } finally {
        if (track.awaits(attempt)) track.dispatch({ type: 'failed', attempt });
      }
    }
  }

  /** Whether nobody watches the tracks of the old session. */
  get isMoved(): boolean {
    return this.#sendings.every(
      ({ track: { state } }) => state.phase !== 'overlapping' || this.#demand.get(state.current) === null,
    );
  }

  /** The old media session is closed, and its tracks with it. */
  completeMove(): void {
    for (const { track } of this.#sendings) track.dispatch({ type: 'carries', attempt: track.state.attempt });
  }

  /** Handles RTCP for the bot's own streams. */
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
    if (transportId === undefined) throw new Error('This bot has no sending transport.');
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
    // A track ends with its session and carries until then, so that viewers who learn late of the newer one still receive it.
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
