import { identityOfSecrets, mintIncarnation, RareLines, silentLogger, systemClock } from '@plenary/cluster';
import { EDGE_ID, EPOCH, PEER_ID } from '@plenary/cluster/ids';
import { room } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createEdgeMetrics } from '../metrics.ts';
import { TEST_CLUSTER_SECRET } from '../testing/edge-process.ts';
import { TestCluster } from '../testing/test-cluster.ts';
import { waitFor } from '../testing/wait-for.ts';
import { ControlLink } from './control-link.ts';
import { isRefusal } from './link-trouble.ts';
import type { LinkLoss } from './link-trouble.ts';

const noop = (): void => undefined;
let cluster: TestCluster;
let link: ControlLink;
const losses: LinkLoss[] = [];
const logger = silentLogger();

describe('a control link', () => {
  beforeEach(async () => {
    losses.length = 0;
    cluster = await TestCluster.start({ edges: 0, mediaNodes: 1 });
    const [record] = await cluster.store.registry.liveMediaNodes();
    if (record === undefined) throw new Error('There is a media node.');
    link = new ControlLink({
      mediaNodeId: record.mediaNodeId,
      controlUrl: record.controlUrl,
      caFile: undefined,
      identity: identityOfSecrets([TEST_CLUSTER_SECRET], { kind: 'edge', id: 'edge' }),
      caller: {
        kind: 'edge',
        id: EDGE_ID.parse('edge'),
        incarnation: mintIncarnation(),
      },
      listener: {
        onUp: noop,
        onDown: (_link, why) => losses.push(why),
        onRoomEvents: noop,
        onSpeakers: noop,
        onConsumerClosed: noop,
        onConsumerSuperseded: noop,
        onTrackDemand: noop,
        onPublishingLimited: noop,
        onPeerLost: noop,
        onPeerUnreached: noop,
        onPeerMove: noop,
      },
      isAnnounced: async () => {
        const nodes = await cluster.store.registry.liveMediaNodes();
        return nodes.some(({ mediaNodeId }) => mediaNodeId === record.mediaNodeId);
      },
      clock: systemClock,
      logger,
      lines: new RareLines(systemClock),
      metrics: createEdgeMetrics(),
      reportFault: noop,
    });
    await waitFor('the link to be up', () => link.isUp);
  });
  afterEach(async () => {
    link.close();
    await cluster.stop();
    vi.restoreAllMocks();
  });

  it('[CL18] tells that its node is gone where nobody listens any more, once', async () => {
    await cluster.mediaNode(0).kill();
    await waitFor('the refusal', () => losses.includes('refused'));
    expect(losses).toEqual(['broken', 'refused']);
    expect(await link.whenUp(0)).toBe(false);
  });

  it('[LC22] logs a warning when its node vanishes without withdrawing from the registry', async () => {
    const info = vi.spyOn(logger, 'info');
    const warn = vi.spyOn(logger, 'warn');

    await cluster.mediaNode(0).kill();
    await waitFor('the warning', () => warn.mock.calls.length > 0);

    expect(warn.mock.calls[0]?.[1]).toBe('control link lost; connecting again');
    expect(info).not.toHaveBeenCalled();
  });

  it('[CL8] goes on when the clock jumps', async () => {
    const jumpedMs = Date.now() + 3_600_000;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => jumpedMs);
    try {
      await link.call('peer.drop', {
        roomId: room('room'),
        peerId: PEER_ID.parse('peer'),
        epoch: EPOCH.parse(1),
      });
      expect(link.isUp).toBe(true);
      expect(losses).toEqual([]);
    } finally {
      clock.mockRestore();
    }
  });

  it('[CL3] [CL18] only says that it is silent where connections are taken and nothing comes', async () => {
    cluster.mediaNode(0).stopBeating();
    await waitFor('the silence', () => losses.length > 0);
    expect([...new Set(losses)]).toEqual(['silent']);
  });
});

describe('isRefusal', () => {
  it('[CL18] takes nothing else for a refusal', () => {
    const failed = (code: string): Error => Object.assign(new Error(code), { code });
    const wrapped = (error: unknown): Error => Object.assign(new Error('ws'), { description: { error } });
    for (const code of ['ECONNREFUSED', 'ECONNRESET'])
      expect([failed(code), wrapped(failed(code))].map(isRefusal)).toEqual([true, true]);
    for (const other of [failed('EHOSTUNREACH'), wrapped(failed('ETIMEDOUT')), wrapped(undefined), 'x', null])
      expect(isRefusal(other)).toBe(false);
  });
});
