import { peer, room } from '@plenary/cluster/testing/samples';
import { ManualClock, ROUTER_RTP_CAPABILITIES } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { NoResends, withoutResends } from './no-resends.ts';
import { addExcess, MIN_RESEND_BITRATE, PEERS_PER_ROUND, timesLimit, watchResends } from './resend-watch.ts';
import type { ReceiverBytes } from './resend-watch.ts';

const MEGABIT = 125_000;

describe('retransmissions', () => {
  const times = (media: number, again: number): number =>
    timesLimit({ sent: 7, retransmitted: 9 }, { sent: 7 + media, retransmitted: 9 + again }, 1_000);

  test('[MS10] may be twice the other bytes, and a small bitrate in any case', () => {
    expect(times(10 * MEGABIT, 20 * MEGABIT)).toBe(1);
    expect(times(10 * MEGABIT, 80 * MEGABIT)).toBe(4);
    expect(times(0, MIN_RESEND_BITRATE / 8)).toBe(1);
  });

  test('[MS37] below the limit count back, and time without measurements counts little', () => {
    expect(addExcess(1_000, 1.5, 1_000)).toBe(2_500);
    expect(addExcess(1_000, 200, 60_000)).toBe(5_000);
    expect(addExcess(1_500, 1, 1_000)).toBe(500);
    expect(addExcess(500, 0, 1_000)).toBe(0);
  });
});

class Receiver {
  closed = false;
  looks = 0;
  #bytes: ReceiverBytes = { sent: 0, retransmitted: 0 };
  readonly #perSecond: ReceiverBytes;

  constructor(media: number, again: number) {
    this.#perSecond = { sent: media, retransmitted: again };
  }

  receiverBytes(): Promise<ReceiverBytes> {
    this.looks += 1;
    return Promise.resolve(this.#bytes);
  }

  /** Requests this many bytes at once. */
  asksFor(again: number): void {
    this.#bytes = { ...this.#bytes, retransmitted: this.#bytes.retransmitted + again };
  }

  passSecond(): void {
    const { sent: media, retransmitted: again } = this.#perSecond;
    this.#bytes = {
      sent: this.#bytes.sent + media,
      retransmitted: this.#bytes.retransmitted + again,
    };
  }
}

function watching(receivers: readonly Receiver[], workerCpu: () => number) {
  let nowMs = 0;
  const found: Receiver[] = [];
  const faults: unknown[] = [];
  const watch = watchResends<Receiver>({
    peers: () => receivers,
    workerCpu,
    clock: { monotonicMs: () => nowMs, wallMs: () => nowMs },
    timers: { after: () => () => undefined },
    onExcess: (one) => {
      one.closed = true;
      found.push(one);
    },
    onFault: (_where, fault) => faults.push(fault),
  });
  const turn = async (): Promise<number> => {
    const before = receivers.reduce((sum, { looks }) => sum + looks, 0);
    nowMs += 1_000;
    for (const one of receivers) one.passSecond();
    await watch.runRound();
    return receivers.reduce((sum, { looks }) => sum + looks, 0) - before;
  };
  return { turn, found, faults };
}

describe('the watch', () => {
  test('[MS36] finds a peer that keeps requesting packets again within three seconds, and no peer that loses half of all packets', async () => {
    const stormer = new Receiver(MEGABIT, 160 * MEGABIT);
    const lossy = new Receiver(2 * MEGABIT, 4 * MEGABIT);
    const { turn, found, faults } = watching([lossy, stormer], () => 0);
    for (let count = 0; count < 3; count += 1) await turn();
    expect(found).toEqual([stormer]);
    for (let count = 0; count < 60; count += 1) await turn();
    expect(found).toEqual([stormer]);
    expect(faults).toEqual([]);
  });

  test('[MS42] tolerates that a stalled network makes a client request everything at once, however rarely it measures', async () => {
    // Ten peers are measured per round: each peer every three seconds.
    const others = Array.from({ length: 29 }, () => new Receiver(MEGABIT, 0));
    const stalled = new Receiver(MEGABIT / 4, 0);
    const { turn, found } = watching([stalled, ...others], () => 0);
    for (let count = 0; count < 4; count += 1) await turn();
    // Two seconds of several cameras, and the part that was lost again.
    stalled.asksFor(16 * MEGABIT);
    for (let count = 0; count < 30; count += 1) await turn();
    expect(found).toEqual([]);
  });

  test('[MS43] finds a peer that floods although many others stay just below the limit', async () => {
    const hoverers = Array.from({ length: 2 * PEERS_PER_ROUND.calm }, () => new Receiver(0, 0));
    const stormer = new Receiver(MEGABIT, 0);
    const { turn, found } = watching([...hoverers, stormer], () => 0);
    for (let count = 0; count < 60; count += 1) {
      // Above the limit until they are measured in each round; then slightly above it in every other round, and below
      // it in between.
      const isBeginning = count < 4;
      if (isBeginning || count % 2 === 0)
        for (const one of hoverers) one.asksFor((isBeginning ? 1.05 : 1.02) * MEGABIT);
      if (count > 20) stormer.asksFor(160 * MEGABIT);
      await turn();
    }
    expect(found).toEqual([stormer]);
  });

  test('[MS44] makes a bounded number of calls per round, more while a worker is busy, and measures every peer', async () => {
    let cpu = 0.5;
    const receivers = Array.from({ length: 150 }, () => new Receiver(MEGABIT, 0));
    const { turn } = watching(receivers, () => cpu);
    expect(await turn()).toBe(PEERS_PER_ROUND.calm);
    cpu = 0.9;
    expect(await turn()).toBe(PEERS_PER_ROUND.busy);
    expect(await turn()).toBe(PEERS_PER_ROUND.busy);
    expect(Math.min(...receivers.map(({ looks }) => looks))).toBe(1);
  });
});

describe('a peer without retransmissions', () => {
  test('[MS38] is known in each media session that it opens, and is offered codecs without NACK', () => {
    const mallory = { roomId: room('standup'), peerId: peer('mallory'), person: undefined };
    const noResends = new NoResends(new ManualClock());
    noResends.add(mallory);
    expect(noResends.has({ ...mallory, person: 'ab' })).toBe(true);
    expect(noResends.has({ ...mallory, peerId: peer('ann') })).toBe(false);
    const feedback = withoutResends(ROUTER_RTP_CAPABILITIES).codecs.flatMap(
      ({ rtcpFeedback = [] }) => rtcpFeedback,
    );
    expect(feedback).toContainEqual({ type: 'nack', parameter: 'pli' });
    expect(feedback.filter(({ type, parameter = '' }) => type === 'nack' && parameter === '')).toEqual([]);
  });

  test('[MS39] is the same person in another room and as another peer; guests are not recognised', () => {
    const mallory = { roomId: room('standup'), peerId: peer('mallory'), person: '0123456789abcdef' };
    const noResends = new NoResends(new ManualClock());
    noResends.add(mallory);
    expect(noResends.has({ ...mallory, roomId: room('daily'), peerId: peer('again') })).toBe(true);
    const guest = { roomId: room('standup'), peerId: peer('guest'), person: undefined };
    noResends.add(guest);
    expect(noResends.has({ ...guest, peerId: peer('other-guest') })).toBe(false);
  });

  describe('among many', () => {
    const asker = (index: number) => ({
      roomId: room('standup'),
      peerId: peer(`peer-${index}`),
      person: index.toString(16).padStart(16, '0'),
    });
    const addAll = (noResends: NoResends, from: number, to: number): void => {
      for (let index = from; index < to; index += 1) noResends.add(asker(index));
    };

    test('[MS41] beyond the maximum, those found first are forgotten, each as a peer and as a person', () => {
      const noResends = new NoResends(new ManualClock());
      addAll(noResends, 0, 15_000);
      expect(noResends.has(asker(14_999))).toBe(true);
      expect(noResends.has(asker(5_000))).toBe(true);
      expect(noResends.has(asker(4_999))).toBe(false);
    });

    test('[MS41] a peer found again is forgotten after those found before that', () => {
      const noResends = new NoResends(new ManualClock());
      addAll(noResends, 0, 9_000);
      noResends.add(asker(0));
      addAll(noResends, 9_000, 18_000);
      expect(noResends.has(asker(0))).toBe(true);
      expect(noResends.has(asker(1))).toBe(false);
    });
  });

  test('[MS40] gets retransmissions again an hour after it was last found', () => {
    const clock = new ManualClock();
    const noResends = new NoResends(clock);
    const ann = { roomId: room('standup'), peerId: peer('ann'), person: '0123456789abcdef' };
    noResends.add(ann);
    clock.advance(3_000_000);
    noResends.add(ann);
    clock.advance(3_599_999);
    expect(noResends.has(ann)).toBe(true);
    clock.advance(1);
    expect(noResends.has(ann)).toBe(false);
  });
});
