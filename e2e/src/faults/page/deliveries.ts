/** When each track of others last delivered a frame that came over the network, looked at every few milliseconds. */
export type Kind = 'audio' | 'video';

const LOOK_EVERY_MS = 20;

/** Every connection of the page, so that receivers are found whoever made them. */
const connections = new Set<RTCPeerConnection>();

/** To be called before anything makes a connection. */
export function noteConnections(): void {
  const Native = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Native {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      connections.add(this);
    }
  };
}

interface Source {
  readonly owner: string;
  readonly kind: Kind;
  readonly track: MediaStreamTrack;
}

interface Stream {
  delivered: number;
  lastAtMs: number;
  longestGapMs: number;
  /** Of the last frame, by the receiver's own clock. */
  stamp: number;
}

/** Follows people, not tracks: a track that is made anew after a fault goes on in the same stretch. */
export class Deliveries {
  readonly #sources: () => readonly Source[];
  readonly #receivers = new WeakMap<MediaStreamTrack, RTCRtpReceiver>();
  readonly #streams = new Map<string, Stream>();

  constructor(sources: () => readonly Source[]) {
    this.#sources = sources;
    setInterval(() => this.#check(), LOOK_EVERY_MS);
  }

  /** Frames of each person and kind that were delivered so far, by `name kind`. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#streams].map(([key, { delivered }]) => [key, delivered]));
  }

  /** Begins to look for the longest stretches. */
  reset(): void {
    for (const stream of this.#streams.values()) stream.longestGapMs = 0;
  }

  /** The longest stretch without a frame since the reset, of each person and kind, with the one that goes on. */
  gaps(): Record<string, number> {
    const nowMs = performance.now();
    return Object.fromEntries(
      [...this.#streams].map(([key, { longestGapMs, lastAtMs }]) => [
        key,
        Math.max(longestGapMs, nowMs - lastAtMs),
      ]),
    );
  }

  #check(): void {
    const nowMs = performance.now();
    for (const { owner, kind, track } of this.#sources()) {
      const stamp = this.#stampOf(track);
      if (stamp === undefined) continue;
      const key = `${owner} ${kind}`;
      const stream = this.#streams.get(key);
      if (stream === undefined) {
        this.#streams.set(key, { delivered: 1, lastAtMs: nowMs, longestGapMs: 0, stamp });
      } else if (stream.stamp !== stamp) {
        stream.longestGapMs = Math.max(stream.longestGapMs, nowMs - stream.lastAtMs);
        stream.delivered += 1;
        stream.lastAtMs = nowMs;
        stream.stamp = stamp;
      }
    }
  }

  /** Concealed sound and repeated pictures have no packet, so they leave it as it was. */
  #stampOf(track: MediaStreamTrack): number | undefined {
    const receiver = this.#receiverOf(track);
    return receiver?.getSynchronizationSources()[0]?.rtpTimestamp;
  }

  #receiverOf(track: MediaStreamTrack): RTCRtpReceiver | undefined {
    const known = this.#receivers.get(track);
    if (known !== undefined) return known;
    for (const connection of connections) {
      if (connection.connectionState === 'closed') {
        connections.delete(connection);
        continue;
      }
      const receiver = connection.getReceivers().find((one) => one.track === track);
      if (receiver === undefined) continue;
      this.#receivers.set(track, receiver);
      return receiver;
    }
    return undefined;
  }
}
