import type { TrackId } from '@plenary/cluster';
import type { MediaOffer, RoomTrack } from '@plenary/cluster/protocol';
import { ClientMedia } from './client-media.ts';
import type { ClientMediaWorld } from './client-media.ts';
import { ClientPublications } from './client-publications.ts';
import { MEDIA_REQUEST } from './client-requests.ts';
import type { RequestEdge } from './client-requests.ts';
import { ClientSubscriptions } from './client-subscriptions.ts';

export interface ClientTracksEnvironment extends Pick<RequestEdge, 'try' | 'nextRequestId'> {
  /** Whether the client is in its room and is not leaving. */
  readonly isReady: () => boolean;
  /** The tracks of the client's copy of the room. */
  readonly tracks: () => ReadonlyMap<TrackId, RoomTrack>;
}

/** The tracks that a simulated client sends and receives, which it requests until it has them all. */
export class ClientTracks {
  readonly media: ClientMedia;
  readonly publications: ClientPublications;
  readonly subscriptions: ClientSubscriptions;
  readonly #environment: ClientTracksEnvironment;
  #isPursuing = false;

  constructor(world: ClientMediaWorld, environment: ClientTracksEnvironment) {
    this.#environment = environment;
    const requests: RequestEdge = { ...environment, epoch: () => this.media.epoch };
    this.media = new ClientMedia(world);
    this.publications = new ClientPublications(requests);
    this.subscriptions = new ClientSubscriptions(requests);
  }

  openedMedia(offer: MediaOffer): void {
    this.media.opened(offer);
    this.subscriptions.lost();
    this.subscriptions.offered(offer);
    this.publications.republishAll();
  }

  lostMedia(): void {
    this.media.lost();
    this.subscriptions.lost();
  }

  /** Requests whatever is wanted and missing. A failed request is retried at the next call. */
  async pursue(): Promise<void> {
    if (this.#isPursuing || !this.#environment.isReady()) return;
    this.#isPursuing = true;
    if (!this.media.isOpen) {
      const offer = await this.#environment.try('media.open', MEDIA_REQUEST);
      if (offer !== undefined) this.openedMedia(offer);
    }
    if (this.media.isOpen) {
      await this.#beginToMove();
      await this.publications.publishMissing(() => this.media.sendTransportId);
      await this.subscriptions.subscribeMissing(this.#environment.tracks());
      await this.subscriptions.pauseAsWanted();
      await this.#endMove();
    }
    this.#isPursuing = false;
  }

  /** Opens a media session on another node when the node asks the client to move. */
  async #beginToMove(): Promise<void> {
    const move = this.media.beginToMove();
    if (move === undefined) return;
    const { attempt, moveFrom } = move;
    const offer = await this.#environment.try('media.open', { ...MEDIA_REQUEST, moveFrom });
    if (!this.media.openedBeside(attempt, offer)) return;
    // The new session is to carry everything from now on, while the old one stays open.
    this.subscriptions.move();
    this.publications.move();
  }

  /** Closes the older media session when the newer one carries everything. */
  async #endMove(): Promise<void> {
    const { move } = this.media;
    if (move === undefined || !this.publications.isPublished || !this.subscriptions.isSubscribed) return;
    const { attempt, epoch } = move;
    const reply = await this.#environment.try('media.moved', { epoch });
    if (reply === undefined || this.media.move?.attempt !== attempt) return;
    this.media.moved(attempt);
    this.publications.completeMove();
  }
}
