import { randomUUID } from 'node:crypto';
import { bySecret, fields, joinToken, PageClient, SessionKey } from './page-client.ts';
import type { Application, Fields } from './page-client.ts';

/** All that an application knows of a cluster. */
export interface Place {
  readonly edgeUrls: readonly string[];
  readonly apiKey: string;
  readonly apiSecret: string;
  /** Applications that publish their keys, by algorithm. */
  readonly applications: Readonly<Record<'ES256' | 'EdDSA', Application>>;
}

/** A person in a room. */
export interface PageParticipant {
  readonly client: PageClient;
  readonly key: SessionKey;
  readonly session: Fields;
  readonly room: Fields;
  readonly media: Fields;
}

/** Creates people who know only the page, and closes their connections at the end. */
export class Strangers {
  readonly #place: Place;
  readonly #clients: PageClient[] = [];
  #capabilities: Fields | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  url(edge = 0): string {
    const url = this.#place.edgeUrls[edge];
    if (url === undefined) throw new Error(`There is no edge ${edge}.`);
    return url;
  }

  /** One application for each way to sign a join token. */
  get applications(): readonly Application[] {
    const { apiKey, apiSecret, applications } = this.#place;
    return [bySecret(apiKey, apiSecret), applications.ES256, applications.EdDSA];
  }

  token(claims: Fields): string {
    const { apiKey, apiSecret } = this.#place;
    return joinToken(bySecret(apiKey, apiSecret), claims);
  }

  /** Opens a connection that has not joined. */
  async connect(edge = 0): Promise<PageClient> {
    const client = await PageClient.connect(this.url(edge));
    this.#clients.push(client);
    return client;
  }

  /** A valid join of a new room, with changes. */
  async joinPayload(changes: Fields = {}, claims: Fields = {}): Promise<Fields> {
    const roomId = changes['roomId'] ?? `room-${randomUUID()}`;
    return {
      protocolVersion: 1,
      requestId: randomUUID(),
      roomId,
      token: this.token({ room: roomId, ...claims }),
      sessionKey: (await SessionKey.make()).jwk,
      media: await this.media(),
      ...changes,
    };
  }

  async media(changes: Fields = {}): Promise<Fields> {
    this.#capabilities ??= fields(await (await fetch(`${this.url()}/api/capabilities`)).json());
    return { rtpCapabilities: this.#capabilities['rtpCapabilities'], publish: false, ...changes };
  }

  async join(changes: Fields = {}, claims: Fields = {}, edge = 0): Promise<PageParticipant> {
    const [client, key] = [await this.connect(edge), await SessionKey.make()];
    const reply = await client.call(
      'join',
      await this.joinPayload({ sessionKey: key.jwk, ...changes }, claims),
    );
    const [session, room, media] = [reply['session'], reply['room'], reply['media']].map(fields);
    if (session === undefined || room === undefined || media === undefined)
      throw new Error('The join reply is incomplete.');
    return { client, key, session, room, media };
  }

  /** Joins as a person who may publish. */
  async publisher(changes: Fields = {}, claims: Fields = {}): Promise<PageParticipant> {
    return this.join({ media: await this.media({ publish: true }), ...changes }, claims);
  }

  async resumePayload(person: PageParticipant, client: PageClient, changes: Fields = {}): Promise<Fields> {
    const { roomId } = person.session;
    const sessionToken = String(changes['sessionToken'] ?? person.session['sessionToken']);
    const proof = await person.key.prove(client.connectionId, sessionToken);
    const lastEventId = person.room['lastEventId'];
    return { protocolVersion: 1, roomId, sessionToken, proof, lastEventId, ...changes };
  }

  closeAll(): void {
    for (const client of this.#clients.splice(0)) client.close();
  }
}

let ssrc = 1_000;

/** The microphone of the page's example, with changes. */
export function microphone({ media }: PageParticipant, changes: Fields = {}): Fields {
  ssrc += 1;
  return {
    requestId: randomUUID(),
    transportId: fields(media['sendTransport'])['id'],
    kind: 'audio',
    source: 'microphone',
    rtpParameters: {
      codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
      encodings: [{ ssrc }],
    },
    paused: false,
    ...changes,
  };
}
