/**
 * This page runs in Chromium: the real headless client on an edge that the page simulates. Among good consumers the edge offers
 * one that the browser refuses. No packets flow, so a consumer with a receiver counts as received.
 */
import { ROUTER_RTP_CAPABILITIES } from '@plenary/cluster/protocol';
import { createMeeting } from '@plenary/web/client';
import type { Meeting, SignallingConnection, SignallingHandlers, SignallingPort } from '@plenary/web/client';

/** The browser is to refuse an SDP section with this `cname`, as it would refuse one that it cannot parse. */
const REFUSED = 'refuse-me';

export interface PoisonedLook {
  readonly statuses: Readonly<Record<string, string>>;
  /** `live` or `ended`, for each received track. */
  readonly tracks: Readonly<Record<string, string>>;
  readonly failed: readonly unknown[];
  readonly opened: number;
}

export type Poison = 'line-end' | 'clashing-id' | 'refused';

class PlayedEdge implements SignallingPort {
  readonly tracks: { trackId: string; poison: Poison | undefined }[] = [];
  readonly failed: unknown[] = [];
  opened = 0;
  #handlers: SignallingHandlers | undefined;
  #events = 100;
  #mid = 0;

  open(_url: string, handlers: SignallingHandlers): SignallingConnection {
    this.#handlers = handlers;
    queueMicrotask(() => {
      handlers.opened('played');
    });
    return {
      send: (name, payload, acknowledged) => {
        queueMicrotask(() => {
          acknowledged({ ok: true, data: this.#answer(name, payload) });
        });
      },
      close: () => undefined,
    };
  }

  publish(trackId: string, poison?: Poison): void {
    this.tracks.push({ trackId, poison });
    const previousId = `${this.#events}-0`;
    this.#events += 1;
    const event = { type: 'track.published', track: trackOf(trackId) };
    this.#handlers?.notice('event', { id: `${this.#events}-0`, previousId, event });
  }

  #answer(name: string, payload: unknown): unknown {
    switch (name) {
      case 'join':
        return { session: SESSION, room: this.#room(), media: this.#media() };
      case 'media.open':
        this.opened += 1;
        return this.#media();
      case 'subscribe': {
        const { trackIds } = payload as { trackIds: string[] };
        return {
          consumers: this.tracks
            .filter(({ trackId }) => trackIds.includes(trackId))
            .map((track) => this.#offer(track)),
          failed: [],
        };
      }
      case 'consumer.failed':
        this.failed.push(payload);
        return {};
      default:
        return {};
    }
  }

  #room(): unknown {
    const tracks = this.tracks.map(({ trackId }) => trackOf(trackId));
    return { lastEventId: `${this.#events}-0`, peerCount: 1, peers: [], tracks, chat: [] };
  }

  #media(): unknown {
    this.#mid = 0;
    return {
      mediaNodeId: 'node',
      datacenter: 'here',
      epoch: this.opened + 1,
      receiveTransport: {
        id: `receive-${this.opened}`,
        iceParameters: { usernameFragment: 'fragment', password: 'aPasswordOf22Characters', iceLite: true },
        iceCandidates: [
          {
            foundation: 'udp',
            priority: 1,
            ip: '127.0.0.1',
            address: '127.0.0.1',
            protocol: 'udp',
            port: 9,
            type: 'host',
          },
        ],
        dtlsParameters: {
          role: 'auto',
          fingerprints: [{ algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') }],
        },
      },
      consumers: this.tracks.map((track) => this.#offer(track)),
    };
  }

  #offer({ trackId, poison }: { trackId: string; poison: Poison | undefined }): unknown {
    this.#mid += 1;
    const extensions = (ROUTER_RTP_CAPABILITIES.headerExtensions ?? []).filter(
      ({ kind, direction }) => kind === 'audio' && direction !== 'recvonly',
    );
    const opus = ROUTER_RTP_CAPABILITIES.codecs.find(({ mimeType }) => mimeType === 'audio/opus');
    return {
      consumerId: `c-${trackId}-${this.#mid}`,
      trackId,
      peerId: `of-${trackId}`,
      kind: 'audio',
      source: 'microphone',
      rtpParameters: {
        mid: String(this.#mid),
        codecs: [
          { mimeType: 'audio/opus', payloadType: opus?.preferredPayloadType, clockRate: 48_000, channels: 2 },
        ],
        headerExtensions: extensions.map(({ uri, preferredId }, index) => ({
          uri,
          id:
            poison === 'clashing-id'
              ? (extensions[(index + 1) % extensions.length]?.preferredId ?? preferredId)
              : preferredId,
        })),
        encodings: [{ ssrc: 1_000 + this.#mid }],
        rtcp: {
          cname:
            poison === 'line-end' ? 'a\r\na=evil:1' : poison === 'refused' ? `${REFUSED}@${trackId}` : 'them',
        },
      },
      paused: false,
      producerPaused: false,
    };
  }
}

const SESSION = {
  peerId: 'self',
  roomId: 'room',
  displayName: 'Ada',
  role: 'viewer',
  sessionToken: 'token',
  resumeWithinMs: 15_000,
  edgeId: 'edge',
  edges: [],
};
const trackOf = (trackId: string) => ({
  trackId,
  peerId: `of-${trackId}`,
  kind: 'audio',
  source: 'microphone',
  paused: false,
});

/** Chromium accepts everything that the cluster's schemas allow, so this stands for a browser that does not. */
function refuseSome(): void {
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    override setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
      if (description.sdp?.includes(`cname:${REFUSED}`) !== true)
        return super.setRemoteDescription(description);
      return Promise.reject(new DOMException('Failed to parse SessionDescription.', 'OperationError'));
    }
  };
}

refuseSome();
const edge = new PlayedEdge();
let meeting: Meeting | undefined;

const page = {
  publish: (trackId: string, poison?: Poison) => {
    edge.publish(trackId, poison);
  },
  join: async () => {
    meeting = createMeeting({
      edgeUrls: ['http://edge.test'],
      roomId: 'room',
      token: 'token',
      displayName: 'Ada',
      publish: false,
      signalling: edge,
    });
    await meeting.join();
  },
  look: (): PoisonedLook => {
    const remote = [...(meeting?.getSnapshot().remoteTracks.values() ?? [])];
    return {
      statuses: Object.fromEntries(remote.map(({ trackId, status }) => [trackId, status])),
      tracks: Object.fromEntries(
        remote.flatMap(({ trackId, mediaTrack }) =>
          mediaTrack === undefined ? [] : [[trackId, mediaTrack.readyState]],
        ),
      ),
      failed: edge.failed.map((payload) => (payload as { trackId: string }).trackId),
      opened: edge.opened,
    };
  },
};
export type PoisonedPage = typeof page;
Object.assign(globalThis, { poisonedPage: page });
