import { ERROR_CODES } from '@plenary/cluster/errors';
import { MEDIA_NODE_ID, type PeerId, type TrackId } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import { connectTimeoutMs, fullJitterMs } from './backoff.ts';
import { nextConnectionState, type ConnectionEvent, type ConnectionState } from './connection-state.ts';
import {
  normaliseEdgeUrl,
  withCurrentEdges,
  withEdges,
  withFailedEdge,
  withLostEdge,
  withWorkingEdge,
} from './edge-list.ts';
import { errorForPeople } from './errors-for-people.ts';
import {
  KEEP_HIDDEN_MS,
  layerForHeight,
  planSubscriptions,
  withOwnReplacements,
  type ConsumerView,
  type SubscriptionState,
} from './plan-subscriptions.ts';
import { SPEAKER_EXPIRY_MS, SPEAKER_HOLD_MS, hear, speakersNow } from './speakers.ts';
import { consumerOffer, peerOf, trackOf } from './testing/fixtures.ts';

const ERROR = { code: 'timed_out', message: '', retryable: true } as const;
const S = {
  idle: { phase: 'idle' },
  connecting: { phase: 'connecting', attempt: 0 },
  joining: { phase: 'joining', attempt: 0 },
  joined: { phase: 'joined', edgeUrl: 'u' },
  reconnecting: { phase: 'reconnecting', attempt: 0, reason: 'r' },
  left: { phase: 'left' },
  failed: { phase: 'failed', error: ERROR },
} as const satisfies Record<string, ConnectionState>;
const E = {
  join: { type: 'join_requested' },
  opened: { type: 'socket_opened' },
  attemptFailed: { type: 'attempt_failed', error: ERROR },
  joined: { type: 'joined', edgeUrl: 'u' },
  lost: { type: 'socket_lost', reason: 'r' },
  left: { type: 'left' },
  failed: { type: 'failed', error: ERROR },
} as const satisfies Record<string, ConnectionEvent>;

describe('nextConnectionState', () => {
  const table: [keyof typeof S, keyof typeof E, ConnectionState['phase']][] = [
    ['idle', 'join', 'connecting'],
    ['left', 'join', 'connecting'],
    ['failed', 'join', 'connecting'],
    ['joined', 'join', 'joined'],
    ['connecting', 'opened', 'joining'],
    ['reconnecting', 'opened', 'reconnecting'],
    ['joining', 'attemptFailed', 'connecting'],
    ['reconnecting', 'attemptFailed', 'reconnecting'],
    ['joined', 'attemptFailed', 'joined'],
    ['joining', 'joined', 'joined'],
    ['reconnecting', 'joined', 'joined'],
    ['left', 'joined', 'left'],
    ['joined', 'lost', 'reconnecting'],
    ['left', 'lost', 'left'],
    ['joined', 'left', 'left'],
    ['failed', 'left', 'failed'],
    ['reconnecting', 'failed', 'failed'],
    ['left', 'failed', 'left'],
    ['idle', 'failed', 'idle'],
  ];
  test.each(table)('%s, %s → %s', (state, event, phase) => {
    expect(nextConnectionState(S[state], E[event]).phase).toBe(phase);
  });

  test('failed attempts are counted', () => {
    expect(
      nextConnectionState(nextConnectionState(S.reconnecting, E.attemptFailed), E.attemptFailed),
    ).toMatchObject({
      attempt: 2,
    });
    expect(nextConnectionState(S.joining, E.attemptFailed)).toEqual({
      phase: 'connecting',
      attempt: 1,
      lastError: ERROR,
    });
  });
});

test('full jitter doubles its bound up to the cap', () => {
  const bounds = { baseMs: 100, capMs: 1_000 };

  expect([0, 1, 2, 3, 4, 50].map((attempt) => fullJitterMs(attempt, bounds, 0.999_99))).toEqual([
    99, 199, 399, 799, 999, 999,
  ]);
  expect(fullJitterMs(5, bounds, 0)).toBe(0);
});

test('[HE6] the time limit of an attempt to connect doubles with each attempt, up to 16 s', () => {
  expect([0, 1, 2, 3, 50].map(connectTimeoutMs)).toEqual([4_000, 8_000, 16_000, 16_000, 16_000]);
});

test('edges keep their order; a failed one goes to the end, a working one to the front', () => {
  const edges = withEdges([], ['http://a:1/', 'https://b/path', 'http://a:1']);

  expect(edges).toEqual(['http://a:1', 'https://b']);
  expect(withFailedEdge(edges, 'http://a:1', () => false)).toEqual(['https://b', 'http://a:1']);
  expect(withWorkingEdge(edges, 'https://b')).toEqual(['https://b', 'http://a:1']);
  expect(normaliseEdgeUrl('wss://c:8/x?y')).toBe('https://c:8');
});

test('[SE54] an edge that answers with an error comes before edges that recently did not answer at all', () => {
  const edges = ['http://error', 'http://gone', 'http://other'];
  const isUnreachable = (edge: string): boolean => edge === 'http://gone';

  expect(withFailedEdge(edges, 'http://error', isUnreachable)).toEqual([
    'http://other',
    'http://error',
    'http://gone',
  ]);
  expect(withFailedEdge(edges, 'http://gone', isUnreachable)).toEqual([
    'http://error',
    'http://other',
    'http://gone',
  ]);
});

test('[HE1] clients that lost one edge spread over the others: its datacenter first, the lost edge last', () => {
  const edges = [
    'http://lost',
    'http://far',
    'http://named',
    'http://near-1',
    'http://near-2',
    'http://near-3',
  ];
  const datacenters = new Map([
    ['http://lost', 'gra'],
    ['http://far', 'sbg'],
    ...[1, 2, 3].map((number): [string, string] => [`http://near-${number}`, 'gra']),
  ]);
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return state / 2 ** 31;
  };
  const firsts = new Map<string, number>();
  for (let client = 0; client < 3_000; client += 1) {
    const order = withLostEdge(edges, 'http://lost', datacenters, random);
    expect(order.slice(3)).toEqual(['http://far', 'http://named', 'http://lost']);
    firsts.set(order[0] ?? '', (firsts.get(order[0] ?? '') ?? 0) + 1);
  }

  expect([...firsts.keys()].sort()).toEqual(['http://near-1', 'http://near-2', 'http://near-3']);
  for (const count of firsts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(100);
});

test('[SE48] if a whole datacenter may be lost, the edges of the other datacenters come first', () => {
  const edges = ['http://lost', 'http://near', 'http://far', 'http://named'];
  const datacenters = new Map([
    ['http://lost', 'gra'],
    ['http://near', 'gra'],
    ['http://far', 'sbg'],
  ]);

  expect(withLostEdge(edges, 'http://lost', datacenters, Math.random, true)).toEqual([
    'http://far',
    'http://near',
    'http://named',
    'http://lost',
  ]);
});

test('edges that are no longer listed are forgotten, except those to keep', () => {
  const known = ['http://gone', 'http://own', 'http://b'];
  expect(withCurrentEdges(known, ['http://b/', 'http://new'], ['http://own'])).toEqual([
    'http://own',
    'http://b',
    'http://new',
  ]);
});

test('every error code has a text for people', () => {
  for (const code of ERROR_CODES) {
    const { title, meaning, advice } = errorForPeople(code);
    expect(Math.min(title.length, meaning.length, advice.length)).toBeGreaterThan(5);
  }
});

describe('withOwnReplacements', () => {
  test('[DR18] a track cannot replace a track of another peer or of another source', () => {
    const camera = trackOf('camera', 'ann', 'camera');
    const next = { ...trackOf('next', 'ann', 'camera'), replaces: camera.trackId };
    const greedy = { ...trackOf('greedy', 'eve', 'camera'), replaces: camera.trackId };
    const screen = { ...trackOf('screen', 'ann', 'screen'), replaces: camera.trackId };
    const ofGone = {
      ...trackOf('of-gone', 'ann', 'camera'),
      replaces: trackOf('gone', 'ann', 'camera').trackId,
    };
    const mapOf = (...tracks: (typeof camera)[]) => new Map(tracks.map((track) => [track.trackId, track]));
    const honest = mapOf(camera, next, ofGone);

    expect(withOwnReplacements(honest)).toBe(honest);
    expect([...withOwnReplacements(mapOf(camera, next, greedy, screen, ofGone)).values()]).toEqual([
      camera,
      next,
      trackOf('greedy', 'eve', 'camera'),
      trackOf('screen', 'ann', 'screen'),
      ofGone,
    ]);
  });
});

describe('planSubscriptions', () => {
  const mic = trackOf('mic', 'ben', 'microphone');
  const cam = trackOf('cam', 'ben', 'camera');
  const own = trackOf('own', 'self', 'camera');
  const { consumerId } = consumerOffer('c', { trackId: 'cam', peerId: 'ben', source: 'camera' });
  const view = (change: Partial<ConsumerView> = {}): ConsumerView => ({
    consumerId,
    paused: false,
    spatialLayer: undefined,
    hiddenSinceMs: undefined,
    ...change,
  });
  const state = (change: Partial<SubscriptionState> = {}): SubscriptionState => ({
    selfPeerId: peerOf('self').peerId,
    tracks: new Map([mic, cam, own].map((track) => [track.trackId, track])),
    consumers: new Map(),
    inFlight: new Set(),
    retryAtMs: new Map(),
    nowMs: 1_000,
    ...change,
  });
  const none = new Map<TrackId, number>();

  test('subscribes to all tracks of others and to no own track', () => {
    expect(planSubscriptions(state(), 'all').subscribe).toEqual(['mic', 'cam']);
  });

  test('subscribes to audio even when no video is on the screen', () => {
    expect(planSubscriptions(state(), none).subscribe).toEqual(['mic']);
  });

  test('does not subscribe twice while a request is pending', () => {
    expect(
      planSubscriptions(state({ inFlight: new Set([mic.trackId, cam.trackId]) }), 'all').subscribe,
    ).toEqual([]);
  });

  test('a failed track waits for its retry time, a given-up one forever', () => {
    const waiting = planSubscriptions(
      state({
        retryAtMs: new Map([
          [mic.trackId, 1_500],
          [cam.trackId, Infinity],
        ]),
      }),
      'all',
    );

    expect(waiting).toMatchObject({ subscribe: [], nextAtMs: 1_500 });
    expect(planSubscriptions(state({ retryAtMs: new Map([[mic.trackId, 900]]) }), none).subscribe).toEqual([
      'mic',
    ]);
  });

  test('a video that left the screen is paused, then dropped', () => {
    const consumers = new Map([[cam.trackId, view()]]);

    expect(planSubscriptions(state({ consumers }), none).update).toMatchObject([
      { trackId: 'cam', paused: true },
    ]);

    const hidden = new Map([[cam.trackId, view({ paused: true, hiddenSinceMs: 1_000 - KEEP_HIDDEN_MS })]]);

    expect(planSubscriptions(state({ consumers: hidden }), none).unsubscribe).toMatchObject([
      { trackId: 'cam' },
    ]);

    const recent = new Map([[cam.trackId, view({ paused: true, hiddenSinceMs: 900 })]]);

    expect(planSubscriptions(state({ consumers: recent }), none)).toMatchObject({
      update: [],
      unsubscribe: [],
      nextAtMs: 900 + KEEP_HIDDEN_MS,
    });
  });

  test('a video that returns to the screen is resumed with the layer of its size', () => {
    const consumers = new Map([[cam.trackId, view({ paused: true, hiddenSinceMs: 900 })]]);

    expect(planSubscriptions(state({ consumers }), new Map([[cam.trackId, 300]])).update).toEqual([
      { trackId: 'cam', consumerId, paused: false, preferredLayers: { spatialLayer: 1 } },
    ]);

    const settled = new Map([[cam.trackId, view({ spatialLayer: 1 })]]);

    expect(planSubscriptions(state({ consumers: settled }), new Map([[cam.trackId, 300]])).update).toEqual(
      [],
    );
  });

  test('the consumer of a track that ended is dropped', () => {
    const gone = trackOf('gone', 'ben', 'camera').trackId;
    expect(planSubscriptions(state({ consumers: new Map([[gone, view()]]) }), 'all').drop).toEqual(['gone']);
  });

  test.each([
    [90, 0],
    [200, 0],
    [201, 1],
    [420, 1],
    [900, 2],
  ])('%d pixels high: layer %d', (heightPx, layer) => {
    expect(layerForHeight(heightPx)).toBe(layer);
  });
});

describe('speakers', () => {
  const A = peerOf('a').peerId;
  const B = peerOf('b').peerId;
  const notice = (node: string, ...speakers: [PeerId, number][]): Parameters<typeof hear>[1] => ({
    mediaNodeId: MEDIA_NODE_ID.parse(node),
    speakers: speakers.map(([peerId, volumeDbov]) => ({ peerId, volumeDbov })),
  });

  test('nodes are merged, the loudest first', () => {
    const heard = hear(hear(new Map(), notice('n1', [A, -30]), 0), notice('n2', [B, -20]), 10);
    expect(speakersNow(heard, 20)).toEqual([B, A]);
  });

  test('a voice keeps its mark over a short gap, then loses it', () => {
    const heard = hear(hear(new Map(), notice('n1', [A, -30]), 0), notice('n1'), 100);

    expect(speakersNow(heard, 100 + SPEAKER_HOLD_MS - 1)).toEqual([A]);
    expect(speakersNow(heard, 100 + SPEAKER_HOLD_MS)).toEqual([]);
  });

  test('a steady voice keeps its mark between two notices, and loses it when no more arrive', () => {
    const heard = hear(new Map(), notice('n1', [A, -30]), 0);

    expect(speakersNow(heard, SPEAKER_EXPIRY_MS - 1)).toEqual([A]);
    expect(speakersNow(heard, SPEAKER_EXPIRY_MS)).toEqual([]);
  });

  test('a repeated notice of silence does not prolong the mark', () => {
    const silent = hear(hear(new Map(), notice('n1', [A, -30]), 0), notice('n1'), 100);
    expect(speakersNow(hear(silent, notice('n1'), 500), 100 + SPEAKER_HOLD_MS)).toEqual([]);
  });

  test('a peer that moved between nodes counts once', () => {
    const heard = hear(hear(new Map(), notice('n1', [A, -40]), 0), notice('n2', [A, -20]), 1);
    expect(speakersNow(heard, 2)).toEqual([A]);
  });
});
