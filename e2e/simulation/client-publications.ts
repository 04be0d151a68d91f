import type { RequestId, TrackId, TransportId } from '@plenary/cluster';
import { Replaceable } from '@plenary/cluster/make-before-break';
import { KIND_OF_SOURCE } from '@plenary/cluster/protocol';
import type { MediaKind, RtpParameters, TrackSource } from '@plenary/cluster/protocol';
import type { RequestEdge } from './client-requests.ts';

const RTP: Readonly<Record<MediaKind, RtpParameters>> = {
  audio: {
    codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
    encodings: [{ ssrc: 1 }],
  },
  video: {
    codecs: [{ mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 }],
    encodings: [{ ssrc: 1 }],
  },
};

/** A source that a simulated client publishes, and its track. */
class Publication {
  readonly source: TrackSource;
  /** Identifies the publication in progress; its repetitions carry the same id. */
  requestId: RequestId;
  paused = false;
  /** The source is no longer wanted: the track is ended as soon as its id is known, and the publication is removed. */
  isUnwanted = false;
  /** The track's end was requested. The request may take effect late even without an answer, so a source that is wanted again needs another track. */
  isEnding = false;
  readonly track: Replaceable<TrackId>;

  constructor(source: TrackSource, nextRequestId: () => RequestId) {
    this.source = source;
    this.requestId = nextRequestId();
    this.track = new Replaceable<TrackId>({
      open: () => {
        this.requestId = nextRequestId();
      },
      // The older track carries until its media session closes, and ends with it.
      watch: () => undefined,
      promote: () => undefined,
      close: () => undefined,
      missing: () => undefined,
    });
    this.track.dispatch({ type: 'begin' });
  }

  /** Its newest track; `undefined` while one is being published. */
  get trackId(): TrackId | undefined {
    return this.track.awaits(this.track.state.attempt) ? undefined : this.track.newest;
  }

  /** Publishes another track after the old one, or its media session, has ended. */
  republish(): void {
    this.track.dispatch({ type: 'closed' });
    this.replace();
  }

  /** Publishes another track that will replace the one that still carries. */
  replace(): void {
    this.isEnding = false;
    this.track.dispatch({ type: 'restart' });
  }
}

/** All publications of a simulated client. */
export class ClientPublications {
  readonly bySource = new Map<TrackSource, Publication>();
  readonly #requests: RequestEdge;

  constructor(requests: RequestEdge) {
    this.#requests = requests;
  }

  /** @returns whether a request has to be sent */
  publish(source: TrackSource): boolean {
    const known = this.bySource.get(source);
    if (known !== undefined) known.isUnwanted = false;
    else this.bySource.set(source, new Publication(source, this.#requests.nextRequestId));
    return known === undefined;
  }

  /** @returns whether a request has to be sent */
  unpublish(source: TrackSource): boolean {
    const publication = this.bySource.get(source);
    if (publication !== undefined) publication.isUnwanted = true;
    return publication !== undefined;
  }

  setPaused(source: TrackSource, paused: boolean): void {
    const publication = this.bySource.get(source);
    if (publication?.trackId === undefined) return;
    publication.paused = paused;
    const { trackId } = publication;
    void this.#requests.try('track.pause', { trackId, paused, epoch: this.#requests.epoch() });
  }

  /** Another media session has replaced the previous one. */
  republishAll(): void {
    this.#deleteUnwanted();
    for (const publication of this.bySource.values()) publication.republish();
  }

  /** Another media session is open beside the one to move from. */
  move(): void {
    this.#deleteUnwanted();
    for (const publication of this.bySource.values()) publication.replace();
  }

  /** The session that was moved from is closed, and its tracks with it. */
  completeMove(): void {
    for (const { track } of this.bySource.values())
      track.dispatch({ type: 'carries', attempt: track.state.attempt });
  }

  /** Whether every publication has a track. */
  get isPublished(): boolean {
    return [...this.bySource.values()].every(({ trackId }) => trackId !== undefined);
  }

  async publishMissing(transportId: () => TransportId | undefined): Promise<void> {
    for (const publication of [...this.bySource.values()]) {
      if (publication.trackId === undefined) await this.#publishOne(publication, transportId());
      await this.#endOne(publication);
    }
  }

  /** Unwanted publications are not repeated on another media session: their tracks end with the old one. */
  #deleteUnwanted(): void {
    for (const { source, isUnwanted } of [...this.bySource.values()])
      if (isUnwanted) this.bySource.delete(source);
  }

  async #publishOne(
    { source, requestId, paused, track }: Publication,
    transportId: TransportId | undefined,
  ): Promise<void> {
    if (transportId === undefined) return;
    const { attempt } = track.state;
    const reply = await this.#requests.try('track.publish', {
      requestId,
      transportId,
      kind: KIND_OF_SOURCE[source],
      source,
      rtpParameters: RTP[KIND_OF_SOURCE[source]],
      paused,
      replaces: track.current,
      epoch: this.#requests.epoch(),
    });
    // An unanswered request is repeated under the same id.
    if (reply !== undefined) track.dispatch({ type: 'opened', attempt, item: reply.trackId });
  }

  async #endOne(publication: Publication): Promise<void> {
    const { source, trackId, isUnwanted, isEnding, track } = publication;
    if (!(isUnwanted || isEnding) || trackId === undefined) return;
    publication.isEnding = true;
    const { attempt } = track.state;
    const reply = await this.#requests.try('track.end', { trackId, epoch: this.#requests.epoch() });
    // Another media session may have been opened meanwhile.
    if (reply === undefined || track.state.attempt !== attempt) return;
    if (publication.isUnwanted) this.bySource.delete(source);
    else publication.republish();
  }
}
