/** Samples every few milliseconds when each remote track last delivered a frame that came over the network. */
export type Kind = 'audio' | 'video';

const CHECK_INTERVAL_MS = 20;

/** Every connection of the page, to find receivers whoever created them. */
const connections = new Set<RTCPeerConnection>();

/** Call it before anything creates a connection. */
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
  /** The RTP timestamp of the last frame. */
  stamp: number;
}

/** Follows people instead of tracks, so that a track that replaces another one after a fault continues its gap. */
export class Deliveries {
  readonly #sources: () => readonly Source[];
  readonly #receivers = new WeakMap<MediaStreamTrack, RTCRtpReceiver>();
  readonly #streams = new Map<string, Stream>();

  constructor(sources: () => readonly Source[]) {
    this.#sources = sources;
    setInterval(() => this.#check(), CHECK_INTERVAL_MS);
  }

  /** How many frames each person's tracks delivered so far, by `name kind`. */
  counts(): Record<string, number> {
    return Object.fromEntries([...this.#streams].map(([key, { delivered }]) => [key, delivered]));
  }

  /** Restarts the measurement of the longest gaps. */
  reset(): void {
    for (const stream of this.#streams.values()) stream.longestGapMs = 0;
  }

  /** The longest gap since the reset, including the current one, by `name kind`. */
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

  /** Concealed sound and repeated pictures come without a packet, so they do not change the timestamp. */
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
