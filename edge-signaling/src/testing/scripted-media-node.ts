import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import {
  challengeCaller,
  CONTROL_BEAT_MS,
  CONTROL_NOTICES,
  CONTROL_REQUESTS,
  CONTROL_VERSION,
  identityOfSecrets,
  mintIncarnation,
  NodeHandshake,
  refusalToCaller,
  PlenaryError,
  REPUBLISH_INTERVAL_MS,
  route,
} from '@plenary/cluster';
import type {
  ClusterStore,
  ControlNoticeInput,
  ControlNoticeName,
  ControlRequest,
  ControlRequestName,
  Incarnation,
  MediaNodeRecord,
  PlacedPeer,
  Route,
  Secrets,
  ServedLink,
  StoredTrack,
  TrackHome,
} from '@plenary/cluster';
import { CONSUMER_ID, DATACENTER_ID, MEDIA_NODE_ID, TRACK_ID } from '@plenary/cluster/ids';
import type { MediaNodeId, PeerId, RoomId, TrackId } from '@plenary/cluster/ids';
import type { ConsumerOffer, TransportOffer } from '@plenary/cluster/protocol';
import { Server } from 'socket.io';
import type { Socket } from 'socket.io';
import { listenOnLoopback } from './loopback.ts';

/** What it says that it counted of each peer's media. */
export const COUNTED_MEDIA = { sentBytes: 1_000, receivedBytes: 2_000 };

export interface ScriptedMediaNodeOptions {
  readonly id: string;
  /** Who it says it is, once a link is open; default its id. */
  readonly claimsToBe?: string;
  /** What of an edge's first message it hears otherwise than it was said. */
  readonly hears?: Readonly<Record<string, unknown>>;
  readonly datacenter?: string;
  readonly clockBehindMs?: number;
  readonly clusterSecret: string;
  readonly store: ClusterStore;
  readonly leaseMs?: number;
}

export interface RecordedCall {
  readonly name: ControlRequestName;
  readonly payload: unknown;
}

type NodeRequestName = Exclude<ControlRequestName, `pipe.${string}`>;

/**
 * A media node without media: speaks the control protocol and keeps the track records as a real one does, and can be
 * told to misbehave. Only for tests of edges.
 */
export class ScriptedMediaNode {
  readonly mediaNodeId: MediaNodeId;
  readonly calls: RecordedCall[] = [];
  /** What the node answers instead of admitting, while it is set. */
  refuseAdmissions: PlenaryError | undefined;
  /** The load that its next reports tell. */
  workerCpu = 0;
  /** Whether it renews its entry in the registry. */
  isAnnounced = true;
  /** Of the cluster; what is set later counts for new links. */
  secrets: Secrets;
  /** The requests that it takes and does not answer. */
  unanswered: (name: string) => boolean = () => false;
  readonly #options: ScriptedMediaNodeOptions;
  readonly #http = createServer();
  readonly #server: Server;
  readonly #incarnation: Incarnation = mintIncarnation();
  readonly #peers = new Map<PeerId, number>();
  readonly #tracks = new Map<RoomId, Map<TrackId, StoredTrack>>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #links = new Set<ServedLink>();
  #controlUrl = '';
  #beats = true;

  static async start(options: ScriptedMediaNodeOptions): Promise<ScriptedMediaNode> {
    const node = new ScriptedMediaNode(options);
    node.#controlUrl = await listenOnLoopback(node.#http);
    node.#timers.push(setInterval(() => node.#beat(), CONTROL_BEAT_MS));
    node.#timers.push(setInterval(() => void node.announce(), (options.leaseMs ?? 3_000) / 3));
    node.#timers.push(setInterval(() => void node.#republish(), REPUBLISH_INTERVAL_MS));
    await node.announce();
    return node;
  }

  private constructor(options: ScriptedMediaNodeOptions) {
    this.#options = options;
    this.mediaNodeId = MEDIA_NODE_ID.parse(options.id);
    this.#server = new Server(this.#http, { transports: ['websocket'], serveClient: false });
    this.secrets = [options.clusterSecret];
    const handshakes = new WeakMap<Socket, NodeHandshake>();
    this.#server.use((socket, next) => {
      try {
        handshakes.set(
          socket,
          new NodeHandshake(this.#identity, { ...socket.handshake.auth, ...options.hears }),
        );
        next();
      } catch (thrown) {
        next(refusalToCaller(thrown));
      }
    });
    this.#server.on('connection', (socket) => {
      const handshake = handshakes.get(socket);
      if (handshake === undefined) throw new Error('It was let in without a handshake.');
      challengeCaller(
        socket,
        handshake,
        (link) => {
          this.#links.add(link);
          socket.on('disconnect', () => this.#links.delete(link));
          this.#serve(link);
        },
        (refusal) => console.error('scripted media node', refusal),
      );
    });
  }

  #serve(link: ServedLink): void {
    const table: Readonly<Record<string, Route<undefined>>> = this.#table();
    link.listen({
      onRequest: (name, payload, answer) => {
        if (!this.unanswered(name)) void table[name]?.(payload, undefined).then(answer);
      },
      onFault: (fault) => console.error('scripted media node', fault),
    });
    link.notify('hello', {
      controlVersion: CONTROL_VERSION,
      mediaNodeId: this.#options.claimsToBe ?? this.mediaNodeId,
      incarnation: this.#incarnation,
      datacenter: this.#datacenter,
      wallMs: Date.now() - (this.#options.clockBehindMs ?? 0),
    });
  }

  /** Peers that the node hosts now. */
  /** Loses its peers without a word. */
  forgetPeers(): void {
    this.#peers.clear();
  }

  get peerIds(): PeerId[] {
    return [...this.#peers.keys()];
  }

  get linkCount(): number {
    return this.#links.size;
  }

  callsOf(name: ControlRequestName): unknown[] {
    return this.calls.filter((call) => call.name === name).map((call) => call.payload);
  }

  async announce(): Promise<void> {
    if (!this.isAnnounced) return;
    const record: MediaNodeRecord = {
      mediaNodeId: this.mediaNodeId,
      incarnation: this.#incarnation,
      datacenter: this.#datacenter,
      controlVersion: CONTROL_VERSION,
      controlUrl: this.#controlUrl,
      announcedAddress: `127.0.0.1`,
      // A slice of its own for each control port, since ports on one address must not overlap.
      portSlice: slice(this.#controlUrl),
      state: 'serving',
      load: { workerCpu: this.workerCpu, controlCpu: 0, bandwidth: 0, packets: 0 },
      peerCount: this.#peers.size,
      maxPeers: 1_000,
      recentJoins: 0,
      isUnreached: false,
      isSurelyUnreached: false,
      reportedAtMs: Date.now(),
    };
    try {
      await this.#options.store.registry.announceMediaNode(record, this.#options.leaseMs ?? 3_000);
    } catch (fault) {
      // Tests take the store away on purpose.
      if (!(fault instanceof PlenaryError)) throw fault;
    }
  }

  /** Sends a notice to every edge. */
  notify<Name extends ControlNoticeName>(name: Name, payload: ControlNoticeInput<Name>): void {
    CONTROL_NOTICES[name].payload.parse(payload);
    for (const link of this.#links) link.notify(name, payload);
  }

  /** Goes on answering, but beats no more: as a node whose way back is cut. */
  stopBeating(): void {
    this.#beats = false;
  }

  /** Dies at once, without a word to the registry. */
  async kill(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#server.close();
  }

  get #identity() {
    return identityOfSecrets(this.secrets, { kind: 'media-node', id: this.mediaNodeId });
  }

  get #datacenter() {
    return DATACENTER_ID.parse(this.#options.datacenter ?? 'gra');
  }

  /** Publishes its tracks again, as a real one does. */
  async #republish(): Promise<void> {
    for (const [roomId, tracks] of this.#tracks) {
      const named = [...tracks.values()].filter(({ peerId, epoch }) => this.#peers.get(peerId) === epoch);
      // Tests take the store away on purpose.
      await this.#options.store.recovery
        .republishTracks(roomId, this.mediaNodeId, named)
        .catch(() => undefined);
    }
  }

  #beat(): void {
    if (this.#beats) this.notify('beat', { incarnation: this.#incarnation });
  }

  #table(): Record<NodeRequestName, Route<undefined>> {
    const { roomLog } = this.#options.store;
    const options = { onFault: (fault: unknown) => console.error('scripted media node', fault) };
    const noted =
      <Name extends ControlRequestName, Reply>(
        name: Name,
        handler: (request: ControlRequest<Name>) => Promise<Reply>,
      ) =>
      async (request: ControlRequest<Name>): Promise<Reply> => {
        this.calls.push({ name, payload: request });
        return handler(request);
      };
    const nothing = async (): Promise<Record<string, never>> => Promise.resolve({});
    return {
      'peer.admit': route(
        CONTROL_REQUESTS['peer.admit'],
        noted('peer.admit', async (request) => {
          if (this.refuseAdmissions !== undefined) throw this.refuseAdmissions;
          this.#fence(request);
          this.#peers.set(request.peerId, request.epoch);
          const reply = {
            receiveTransport: transport(`receive-${request.epoch}`),
            consumers: request.tracks.map(consumer),
            failed: [],
          };
          const publishes = request.media.publish;
          return Promise.resolve(
            publishes ? { ...reply, sendTransport: transport(`send-${request.epoch}`) } : reply,
          );
        }),
        options,
      ),
      'peer.attach': route(
        CONTROL_REQUESTS['peer.attach'],
        noted('peer.attach', async ({ peerId, epoch, countMedia }) => {
          const alive = this.#peers.get(peerId) === epoch;
          return Promise.resolve(alive && countMedia === true ? { alive, ...COUNTED_MEDIA } : { alive });
        }),
        options,
      ),
      'peer.ask': route(
        CONTROL_REQUESTS['peer.ask'],
        noted('peer.ask', async ({ peerId, epoch }) =>
          Promise.resolve({ alive: this.#peers.get(peerId) === epoch }),
        ),
        options,
      ),
      'peer.drop': route(
        CONTROL_REQUESTS['peer.drop'],
        noted('peer.drop', async ({ peerId, epoch }) => {
          if ((this.#peers.get(peerId) ?? Infinity) <= epoch) this.#peers.delete(peerId);
          return nothing();
        }),
        options,
      ),
      'transport.connect': route(
        CONTROL_REQUESTS['transport.connect'],
        noted('transport.connect', async (request) => this.#hosted(request, nothing)),
        options,
      ),
      'transport.restartIce': route(
        CONTROL_REQUESTS['transport.restartIce'],
        noted('transport.restartIce', async (request) =>
          this.#hosted(request, async () =>
            Promise.resolve({ iceParameters: transport('anew').iceParameters }),
          ),
        ),
        options,
      ),
      'track.publish': route(
        CONTROL_REQUESTS['track.publish'],
        noted('track.publish', async (request) =>
          this.#hosted(request, async () => {
            const { roomId, peerId, kind, source, paused, epoch } = request;
            const trackId = TRACK_ID.parse(`${peerId}-${request.requestId}`);
            const track = { trackId, peerId, kind, source, paused, epoch, homeNodeId: this.mediaNodeId };
            const tracks = this.#tracks.get(roomId) ?? new Map<TrackId, StoredTrack>();
            this.#tracks.set(roomId, tracks.set(trackId, track));
            return { trackId, events: [...(await roomLog.publishTrack(roomId, track))] };
          }),
        ),
        options,
      ),
      'track.pause': route(
        CONTROL_REQUESTS['track.pause'],
        noted('track.pause', async (request) =>
          this.#hosted(request, async () => {
            const { roomId, trackId, paused } = request;
            const track = this.#tracks.get(roomId)?.get(trackId);
            if (track !== undefined) this.#tracks.get(roomId)?.set(trackId, { ...track, paused });
            // As a real node does: the producer is paused whether or not its record can be changed now.
            const events = await roomLog.setTrackPaused(roomId, trackId, paused).catch(() => []);
            return { events: [...events] };
          }),
        ),
        options,
      ),
      'track.end': route(
        CONTROL_REQUESTS['track.end'],
        noted('track.end', async (request) =>
          this.#hosted(request, async () => {
            const tracks = this.#tracks.get(request.roomId);
            if (tracks?.get(request.trackId)?.peerId !== request.peerId)
              return Promise.resolve({ events: [] });
            tracks.delete(request.trackId);
            // As a real node does: the producer is closed whether or not its record can be changed now.
            const events = await roomLog
              .endTracks(request.roomId, [request.trackId], 'unpublished')
              .catch(() => []);
            return { events: [...events] };
          }),
        ),
        options,
      ),
      subscribe: route(
        CONTROL_REQUESTS.subscribe,
        noted('subscribe', async (request) =>
          this.#hosted(request, async () =>
            Promise.resolve({ consumers: request.tracks.map(consumer), failed: [] }),
          ),
        ),
        options,
      ),
      unsubscribe: route(
        CONTROL_REQUESTS.unsubscribe,
        noted('unsubscribe', async (request) => this.#hosted(request, nothing)),
        options,
      ),
      'consumers.update': route(
        CONTROL_REQUESTS['consumers.update'],
        noted('consumers.update', async (request) => this.#hosted(request, nothing)),
        options,
      ),
    };
  }

  #fence({ peerId, epoch }: PlacedPeer): void {
    if ((this.#peers.get(peerId) ?? 0) > epoch) throw new PlenaryError('stale_epoch');
  }

  async #hosted<Reply>(placed: PlacedPeer, answer: () => Promise<Reply>): Promise<Reply> {
    if (!this.#peers.has(placed.peerId)) throw new PlenaryError('peer_not_found');
    this.#fence(placed);
    return answer();
  }
}

function slice(controlUrl: string): { firstPort: number; lastPort: number } {
  const port = Number(new URL(controlUrl).port);
  return { firstPort: port, lastPort: port };
}

function transport(id: string): TransportOffer {
  return {
    id,
    iceParameters: { usernameFragment: 'scripted', password: 'scriptedMediaNodePassword' },
    iceCandidates: [
      {
        foundation: 'udp',
        priority: 1,
        ip: '127.0.0.1',
        address: '127.0.0.1',
        protocol: 'udp',
        port: 40_000,
        type: 'host',
      },
    ],
    dtlsParameters: {
      role: 'auto',
      fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AA').join(':') }],
    },
  };
}

function consumer({ trackId, peerId, kind, source }: TrackHome): ConsumerOffer {
  return {
    consumerId: CONSUMER_ID.parse(randomUUID()),
    trackId,
    peerId,
    kind,
    source,
    rtpParameters: {
      codecs: [
        kind === 'audio'
          ? { mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }
          : { mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 },
      ],
    },
    paused: false,
    producerPaused: false,
  };
}
