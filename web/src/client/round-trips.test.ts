import { EDGE_HINT, type EdgeHint } from '@plenary/cluster/protocol';
import { describe, expect, test, vi } from 'vitest';
import { fetchProbe } from './fetch-probe.ts';
import { MAX_PROBES, RoundTripMeter, planProbes } from './round-trips.ts';
import { EDGE_A, EDGE_B, meet } from './testing/meet.ts';
import { ScriptedEdge } from './testing/scripted-edge.ts';

const EDGE_C = 'http://[2001:db8::c]:3000';
const hint = (datacenter: string, url: string): EdgeHint =>
  EDGE_HINT.parse({ edgeId: `edge-${datacenter}`, datacenter, url });
const quiet = { warn: () => undefined };
const ignore = (): void => undefined;

describe('planProbes', () => {
  test('[PL11] probes one edge of each datacenter, also by IPv6', () => {
    const hints = [hint('gra', EDGE_A), hint('gra', EDGE_B), hint('sbg', `${EDGE_C}/`)];
    expect(planProbes(hints)).toEqual([
      { datacenter: 'gra', url: EDGE_A },
      { datacenter: 'sbg', url: EDGE_C },
    ]);
  });

  test('[PL25] probes no edge if there is one datacenter, or all edges share one URL', () => {
    expect(planProbes([hint('gra', EDGE_A), hint('gra', EDGE_B)])).toEqual([]);
    expect(planProbes([hint('gra', EDGE_A), hint('sbg', EDGE_A), hint('rbx', EDGE_B)])).toEqual([]);
    expect(planProbes([])).toEqual([]);
  });

  test('[PL11] probes no more edges than its limit', () => {
    const hints = Array.from({ length: 30 }, (_, index) => hint(`dc-${index}`, `http://edge-${index}.test`));
    expect(planProbes(hints)).toHaveLength(MAX_PROBES);
  });
});

describe('RoundTripMeter', () => {
  const scripted = (): ScriptedEdge => {
    const edge = new ScriptedEdge();
    edge.hints = [hint('gra', EDGE_A), hint('sbg', EDGE_B), hint('rbx', EDGE_C)];
    edge.roundTripMs.set(EDGE_A, 30).set(EDGE_B, 8);
    return edge;
  };

  test('[PL11] returns the nearest first, without those that do not answer', async () => {
    const meter = new RoundTripMeter(scripted(), quiet, ignore);
    meter.start(EDGE_A);

    expect(await meter.within(10_000)).toEqual([
      { datacenter: 'sbg', roundTripMs: 8 },
      { datacenter: 'gra', roundTripMs: 30 },
    ]);
  });

  test('[PL11] measures once, and again after ten minutes', async () => {
    const edge = scripted();
    let nowMs = 0;
    const meter = new RoundTripMeter(edge, quiet, ignore, () => nowMs);
    for (const atMs of [0, 0, 599_999]) {
      nowMs = atMs;
      meter.start(EDGE_A);
      meter.start(EDGE_A);
      await meter.within(10_000);
    }

    expect(edge.probed).toHaveLength(3);

    nowMs = 600_000;
    meter.start(EDGE_A);
    await meter.within(10_000);

    expect(edge.probed).toHaveLength(6);
  });

  test('[PL26] returns the results so far at its time limit', async () => {
    const edge = scripted();
    const answering = edge.ping.bind(edge);
    const port = {
      knownEdges: () => edge.knownEdges(),
      ping: (url: string): Promise<number> =>
        url === EDGE_B ? answering(url) : new Promise<number>(() => undefined),
    };
    const meter = new RoundTripMeter(port, quiet, ignore);
    meter.start(EDGE_A);

    expect(await meter.within(1)).toEqual([{ datacenter: 'sbg', roundTripMs: 8 }]);
  });

  test('[PL11] asks an edge that listed no others again the next time', async () => {
    const edge = scripted();
    let isDown = true;
    const port = {
      knownEdges: () => (isDown ? Promise.reject(new Error('down')) : edge.knownEdges()),
      ping: (url: string) => edge.ping(url),
    };
    const warn = vi.fn();
    const meter = new RoundTripMeter(port, { warn }, ignore);
    meter.start(EDGE_A);

    expect(await meter.within(10_000)).toEqual([]);
    expect(warn).toHaveBeenCalledOnce();

    isDown = false;
    meter.start(EDGE_A);

    expect(await meter.within(10_000)).toHaveLength(2);
  });
});

describe('a join', () => {
  test('[PL11] sends the round trips that were measured during its preparation', async () => {
    const edge = new ScriptedEdge();
    edge.hints = [hint('gra', EDGE_A), hint('sbg', EDGE_B)];
    edge.roundTripMs.set(EDGE_A, 30).set(EDGE_B, 8);
    const meeting = meet(edge);
    await meeting.prepare();
    await meeting.join();

    expect(edge.requests('join')[0]?.roundTrips).toEqual([
      { datacenter: 'sbg', roundTripMs: 8 },
      { datacenter: 'gra', roundTripMs: 30 },
    ]);
  });

  test('[PL25] sends no round trips and probes no edge if there is one datacenter', async () => {
    const edge = new ScriptedEdge();
    edge.hints = [hint('gra', EDGE_A), hint('gra', EDGE_B)];
    await meet(edge).join();

    expect(edge.requests('join')[0]?.roundTrips).toBeUndefined();
    expect(edge.probed).toEqual([]);
  });

  test('[PL26] is not delayed by an edge that does not answer', async () => {
    const edge = new ScriptedEdge();
    const never = new Promise<never>(() => undefined);
    await meet(edge, { probing: { knownEdges: () => never, ping: () => never } }).join();

    expect(edge.requests('join')).toHaveLength(1);
  });
});

describe('fetchProbe', () => {
  const signal = new AbortController().signal;

  test('[PL11] times an open connection, and takes the fastest', async () => {
    const tookMs = [300, 25, 20];
    let nowMs = 0;
    const requestedUrls: string[] = [];
    const fetchFrom = (url: string | URL | Request): Promise<Response> => {
      requestedUrls.push(url instanceof Request ? url.url : String(url));
      nowMs += tookMs[requestedUrls.length - 1] ?? 0;
      return Promise.resolve(new Response(''));
    };

    expect(await fetchProbe(fetchFrom, () => nowMs).ping(EDGE_C, signal)).toBe(20);
    expect(requestedUrls).toEqual(Array.from({ length: 3 }, () => `${EDGE_C}/api/ping`));
  });

  test('[PL11] accepts nothing but a list of edges', async () => {
    const answering = (body: string, status = 200) =>
      fetchProbe(() => Promise.resolve(new Response(body, { status })));
    const edges = [hint('gra', EDGE_A)];

    expect(await answering(JSON.stringify({ edges })).knownEdges(EDGE_A, signal)).toEqual(edges);
    await expect(answering('{"edges": 1}').knownEdges(EDGE_A, signal)).rejects.toBeDefined();
    await expect(answering('{}', 503).knownEdges(EDGE_A, signal)).rejects.toBeDefined();
  });

  test('[HL23] a first edge that accepts no connections is left for another edge that it listed over HTTP', async () => {
    const edge = new ScriptedEdge();
    edge.dead.add(EDGE_A);
    edge.hints = [hint('gra', EDGE_A), hint('gra', EDGE_B)];
    const meeting = meet(edge);
    await meeting.join();

    expect(edge.socket.url).toBe(EDGE_B);
  });
});
