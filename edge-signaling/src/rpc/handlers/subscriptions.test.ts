import { CONSUMER_ID } from '@plenary/cluster/ids';
import { MAX_CONSUMERS } from '@plenary/cluster/protocol';
import { EPOCH, FIRST_LINES, RareLines } from '@plenary/cluster';
import { peer, track } from '@plenary/cluster/testing/samples';
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LimitedLog } from '../../limits/limited-log.ts';
import { EdgeBudgets } from '../../limits/meter.ts';
import { ClientConnection } from '../../entry/client-connection.ts';
import { EdgeParts, RecordingSocket, ROOM } from '../../testing/edge-parts.ts';
import { createEdgeMetrics, createFaultReporter } from '../../metrics.ts';
import { handleConsumerFailed, handleSubscribe } from './subscriptions.ts';

const consumerOf = (trackId: string) => ({
  consumerId: `c-${trackId}`,
  trackId,
  peerId: 'bob',
  kind: 'audio',
  source: 'microphone',
  rtpParameters: { codecs: [], encodings: [{ ssrc: 1 }] },
  paused: false,
  producerPaused: false,
});

async function subscriber() {
  const parts = new EdgeParts();
  const { localRooms, links, roomLog, clock, metrics } = parts;
  const link = links.add('node');
  const socket = new RecordingSocket();
  const session = parts.hold(await parts.place('ann', 'node'), socket);
  localRooms.tracksOf(ROOM).learn(
    ['one', 'two'].map((name) => ({
      trackId: track(name),
      peerId: peer('bob'),
      kind: 'audio',
      source: 'microphone',
      homeNodeId: link.mediaNodeId,
    })),
  );
  const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
  connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
  connection.apply({ type: 'entered', session });
  const handler = handleSubscribe({ roomLog, links, localRooms, clock });
  const subscribe = async () => handler({ trackIds: [track('one'), track('two')] }, connection);
  const reply = { consumers: [consumerOf('one'), consumerOf('two')], failed: [] };
  return { session, link, subscribe, reply };
}

describe('subscribe', () => {
  it('[BU42] does not count a consumer that was closed before the answer was heard', async () => {
    const { session, link, subscribe, reply } = await subscriber();
    link.answer = () => {
      session.consumers.closed([CONSUMER_ID.parse('c-one')]);
      return reply;
    };
    const { consumers } = await subscribe();
    expect(consumers).toHaveLength(2);
    expect(session.consumers.roomOn(session.media.epoch)).toBe(MAX_CONSUMERS - 1);
  });

  it('[BU42] counts nothing for media that has gone before the answer was heard', async () => {
    const { session, link, subscribe, reply } = await subscriber();
    const { epoch } = session.media;
    link.answer = () => {
      session.moveTo({ ...session.media, epoch: EPOCH.parse(epoch + 1) });
      return reply;
    };
    await subscribe();
    expect(session.consumers.roomOn(epoch)).toBe(MAX_CONSUMERS);
    expect(session.consumers.roomOn(session.media.epoch)).toBe(MAX_CONSUMERS);
  });
});

describe('consumer.failed', () => {
  it('[MS25] is told in one line of the log a person, also of one who resumes, without a stack of ours', async () => {
    const parts = new EdgeParts();
    const { links, clock, localRooms } = parts;
    const link = links.add('node');
    link.answer = () => ({ calls: 1 });
    const metrics = createEdgeMetrics();
    const lines: object[] = [];
    const logger = pino(
      { base: null },
      { write: (line) => lines.push(z.looseObject({}).parse(JSON.parse(line))) },
    );
    const reportFault = createFaultReporter(metrics, logger, new RareLines(clock, FIRST_LINES));
    const failed = handleConsumerFailed({ links, clock, metrics, reportFault });
    const placement = await parts.place('ann', 'node');
    for (let times = 0; times < 3; times += 1) {
      const socket = new RecordingSocket();
      const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
      const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
      const connection = new ClientConnection(
        socket,
        { onSocketClosed: () => undefined },
        budgets,
        localRooms,
      );
      connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
      const session = parts.hold(placement, socket);
      connection.apply({ type: 'entered', session });
      connection.payFrom(session, {});
      await failed({ consumerId: CONSUMER_ID.parse('c'), trackId: track('hers') }, connection);
    }
    expect(lines).toMatchObject([
      { where: 'consumer', code: 'cannot_consume', peerId: 'ann', trackId: 'hers' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('stack');
    expect(await metrics.consumerFailures.get()).toMatchObject({ values: [{ value: 3 }] });
  });
});
