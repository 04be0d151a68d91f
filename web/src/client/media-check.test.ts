import { PlenaryError } from '@plenary/cluster/errors';
import { EPOCH } from '@plenary/cluster/protocol';
import type { ClientReply, Epoch } from '@plenary/cluster/protocol';
import { describe, expect, test } from 'vitest';
import { MediaCheck } from './media-check.ts';
import type { HasStats } from './stats-entries.ts';

const SEVEN = EPOCH.parse(7);
const COUNTED = { sentBytes: 1_000, receivedBytes: 700 };

/** A transport with these statistics of the browser. */
const transportWith = (...entries: object[]): HasStats => ({
  closed: false,
  getStats: () => Promise.resolve(new Map(entries.map((entry, index) => [String(index), entry]))),
});
const withoutStats: HasStats = { closed: false, getStats: () => Promise.reject(new Error('no statistics')) };

const sending = transportWith(
  { type: 'outbound-rtp', bytesSent: 40 },
  { type: 'outbound-rtp', bytesSent: 2 },
  { type: 'transport', bytesSent: 99 },
);

function checkOf(
  media: { receive: HasStats; send: HasStats | undefined } | undefined,
  answer: ClientReply<'media.check'> | PlenaryError,
  isConnected = true,
) {
  const requestedEpochs: unknown[] = [];
  const lost: Epoch[] = [];
  const warnings: unknown[] = [];
  const check = new MediaCheck({
    askEdge: (epoch) => {
      requestedEpochs.push(epoch);
      return answer instanceof PlenaryError ? Promise.reject(answer) : Promise.resolve(answer);
    },
    isConnected: () => isConnected,
    media: () => (media === undefined ? undefined : { epoch: SEVEN, ...media }),
    lostAt: (epoch) => lost.push(epoch),
    log: { warn: (...words) => warnings.push(words) },
  });
  return { check, requestedEpochs, lost, warnings };
}

describe('MediaCheck', () => {
  test('[SE50] returns the counters of both ends', async () => {
    const { check, requestedEpochs, lost } = checkOf(
      { receive: transportWith(), send: sending },
      { alive: true, ...COUNTED },
    );

    expect(await check.askEdge()).toEqual({ sentByNode: 1_000, receivedByNode: 700, sentByClient: 42 });
    expect([requestedEpochs, lost]).toEqual([[7], []]);
  });

  test('[SE17] asks the edge also if the browser gives no statistics, or no media session is open', async () => {
    const silent = checkOf({ receive: withoutStats, send: withoutStats }, { alive: true, ...COUNTED });

    expect(await silent.check.askEdge()).toEqual({
      sentByNode: 1_000,
      receivedByNode: 700,
      sentByClient: undefined,
    });
    expect(await silent.check.iceAnswers()).toBeUndefined();
    expect(silent.warnings).toHaveLength(2);

    const without = checkOf(undefined, { alive: true });

    expect(await without.check.askEdge()).toEqual({});
  });

  test('reports a media session that the media node no longer has', async () => {
    const { check, lost } = checkOf({ receive: transportWith(), send: undefined }, { alive: false });

    expect(await check.askEdge()).toBeUndefined();
    expect(lost).toEqual([7]);
  });

  test('reports nothing if no edge is connected or the edge answers with an error', async () => {
    const media = { receive: transportWith(), send: undefined };
    const alone = checkOf(media, { alive: true }, false);

    expect([await alone.check.askEdge(), alone.requestedEpochs]).toEqual([undefined, []]);

    const refused = checkOf(media, new PlenaryError('media_lost'));

    expect([await refused.check.askEdge(), refused.lost]).toEqual([undefined, []]);
    expect(refused.warnings).toHaveLength(1);
  });

  test('[SE51] counts the answers to ICE requests', async () => {
    const receive = transportWith(
      { type: 'candidate-pair', responsesReceived: 3 },
      { type: 'candidate-pair', responsesReceived: 4 },
    );
    expect(await checkOf({ receive, send: undefined }, { alive: true }).check.iceAnswers()).toBe(7);
  });
});
