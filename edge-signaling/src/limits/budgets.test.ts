import { createEdgeMetrics } from '../metrics.ts';
import { ManualClock } from '@plenary/cluster';
import { EVENT_ID, TENANT_ID, TRACK_ID } from '@plenary/cluster/ids';
import { room } from '@plenary/cluster/testing/samples';
import { CLIENT_REQUESTS } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { BUDGETS, carriedBudget, isBelowCarried, SMALL_ROOM } from './budget.ts';
import { costOf, costOfComingIn, costOfNoEvent, costOfNothing, mergeUpdates, REQUEST_COSTS } from './cost.ts';
import type { Cost } from './cost.ts';
import { FLOOD_SETTINGS } from './flood-settings.ts';
import { LimitedLog } from './limited-log.ts';
import { EdgeBudgets, Meter } from './meter.ts';
import { entrantOf } from '../rpc/handlers/entrant.ts';
import { ClientConnection } from '../entry/client-connection.ts';
import { RecordingSocket } from '../testing/edge-parts.ts';

const PAYERS = { roomId: room('standup'), tenantId: TENANT_ID.parse('acme') };

function edgeOf(socketsPerAddress = 2_000) {
  const clock = new ManualClock();
  const metrics = createEdgeMetrics();
  const lines: unknown[] = [];
  const logger = { warn: (line: unknown) => void lines.push(line) };
  const budgets = new EdgeBudgets({
    clock,
    socketsPerAddress,
    log: new LimitedLog({ metrics, logger, clock }),
  });
  return { clock, metrics, lines, budgets, meter: (address: string) => new Meter(budgets, address) };
}

/** How often a cost is allowed at once. */
function allowed(meter: Meter, cost: Cost, times: number, people = 10): number {
  return Array.from({ length: times }, () => meter.charge(cost, PAYERS, people)).filter(
    (verdict) => verdict === 'allowed',
  ).length;
}

describe('the cost of a request', () => {
  const update = (consumers: unknown[]) =>
    costOf('consumers.update', CLIENT_REQUESTS['consumers.update'].payload.parse({ consumers }), 10);

  it('[BU4] is counted by item: 64 changes of one consumer are one, of 64 consumers 64', () => {
    const one = Array.from({ length: 64 }, (_, index) => ({ consumerId: 'c', paused: index % 2 === 0 }));
    const many = Array.from({ length: 64 }, (_, index) => ({ consumerId: `c${index}`, paused: true }));
    expect(update(one)).toEqual({ work: 1 / 8, mediasoup: 1 });
    expect(update(many)).toEqual({ work: 8, mediasoup: 64 });
  });

  it('[BU32] of what is said several times of one consumer the last counts', () => {
    const [merged, ...more] = mergeUpdates(
      CLIENT_REQUESTS['consumers.update'].payload.parse({
        consumers: [
          { consumerId: 'c', paused: true, priority: 3 },
          { consumerId: 'c', paused: false },
        ],
      }).consumers,
    );
    expect([merged, more]).toEqual([{ consumerId: 'c', paused: false, priority: 3 }, []]);
  });

  it('[BU32] tracks that are named twice count once', () => {
    const trackIds = Array.from({ length: 64 }, (_, index) => TRACK_ID.parse(`t${index % 2}`));
    expect(costOf('subscribe', { trackIds }, 10).mediasoup).toBe(2);
  });

  it('[BU30] grows with the audience: a mute in a room of a thousand is told a thousand times', () => {
    const mute = { trackId: TRACK_ID.parse('t'), paused: true };
    expect(costOf('track.pause', mute, 3).deliveries).toBe(3);
    expect(costOf('track.pause', mute, 1_000).deliveries).toBe(1_000);
    expect(costOfNoEvent(1_000).deliveries).toBe(-1_000);
  });
});

describe('budgets', () => {
  it('[BU5] [RL1] [RL2] a session that spends too fast is refused, and dropped when it goes on', () => {
    const { meter } = edgeOf();
    const ann = meter('192.0.2.1');
    const verdicts = Array.from({ length: 400 }, () => ann.charge({ work: 1 }, PAYERS, 10));
    const { work } = BUDGETS.session;
    expect(verdicts.filter((verdict) => verdict === 'allowed')).toHaveLength(work.capacity);
    expect(verdicts.filter((verdict) => verdict === 'rate_limited')).toHaveLength(
      FLOOD_SETTINGS.patience.capacity,
    );
    expect(verdicts.at(-1)).toBe('flooding');
  });

  it('[RL9] forgives who slows down', () => {
    const { meter, clock } = edgeOf();
    const ann = meter('192.0.2.1');
    allowed(ann, { work: 1 }, 160);
    clock.advance(60_000);
    expect(ann.charge({ work: 1 }, PAYERS, 10)).toBe('allowed');
  });

  it('[BU38] what costs more than a budget ever holds is paid from a full one, and owed', () => {
    const { meter, clock } = edgeOf();
    const ann = meter('192.0.2.1');
    const cost = { deliveries: 2 * BUDGETS.session.deliveries.capacity };
    expect(allowed(ann, cost, 2, 100_000)).toBe(1);
    clock.advance(15_000);
    expect(ann.charge({ deliveries: 1 }, PAYERS, 100_000)).toBe('allowed');
  });

  it('[BU31] what catching up carried is owed, and paid before the next one, however little work that is', () => {
    const { meter, clock } = edgeOf();
    const ann = meter('192.0.2.1');
    const sync = { work: REQUEST_COSTS.sync, ...costOf('sync', { afterEventId: EVENT_ID.parse('1-0') }, 10) };
    const carried = { bytes: BUDGETS.session.bytes.capacity + BUDGETS.session.bytes.refillPerSecond };
    expect(ann.charge(sync, PAYERS, 10)).toBe('allowed');
    ann.adjust(carried, PAYERS, 10);
    expect(ann.charge(sync, PAYERS, 10)).toBe('rate_limited');
    clock.advance(2_000);
    expect(ann.charge(sync, PAYERS, 10)).toBe('allowed');
  });

  it('[BU5] [BU39] the room, the tenant and the address pay as well, and who is limited by them is not dropped', async () => {
    const { meter, metrics } = edgeOf();
    const cost = { deliveries: 1_000 };
    const each = Array.from({ length: 200 }, (_, index) => allowed(meter(`192.0.2.${index}`), cost, 25));
    const total = each.reduce((sum, count) => sum + count, 0);
    expect(total).toBe((BUDGETS.room.deliveries.capacity * SMALL_ROOM) / 1_000);
    expect(each.at(-1)).toBe(0);
    await expect(metrics.limited.get()).resolves.toMatchObject({
      values: [{ labels: { scope: 'room', resource: 'deliveries' } }],
    });
  });

  it('[BU5] sockets of one address share a budget, whatever session each is of', () => {
    const sockets = 20;
    const { meter } = edgeOf(sockets);
    const counts = Array.from({ length: sockets }, () => allowed(meter('192.0.2.1'), { work: 1 }, 200));
    const total = counts.reduce((sum, count) => sum + count, 0);
    expect(total).toBeLessThan(sockets * BUDGETS.session.work.capacity);
    expect(counts.at(-1)).toBe(costOfComingIn(10).work);
    expect(allowed(meter('198.51.100.1'), { work: 1 }, 10)).toBe(10);
  });

  it('[BU35] a session that is taken up again has what it had left', () => {
    const { meter } = edgeOf();
    const before = meter('192.0.2.1');
    allowed(before, { work: 1 }, 140);
    const again = meter('192.0.2.1');
    again.payFrom(before.sessionBudget, { work: 5 });
    expect(allowed(again, { work: 1 }, 10)).toBe(5);
  });

  it('[BU36] one that comes from another edge finds what came in since it was held there, and not a full budget', () => {
    const clock = new ManualClock();
    const { work } = BUDGETS.session;
    const spendable = (heldForMs: number): number => {
      const budget = carriedBudget(clock, heldForMs);
      let spent = 0;
      while (budget.lacking({ work: 1 }) === undefined) {
        budget.spendAll({ work: 1 });
        spent += 1;
      }
      return spent;
    };
    const least = REQUEST_COSTS.resume + REQUEST_COSTS['media.open'];
    expect(spendable(0)).toBeGreaterThanOrEqual(least);
    expect(spendable(1_000)).toBe(work.refillPerSecond);
    expect(spendable(3_600_000)).toBeLessThan(work.capacity / 2);
  });

  it('[BU40] a line says who is limited by what, now and then, and how many were not said', () => {
    const { meter, clock, lines } = edgeOf();
    const ann = meter('192.0.2.1');
    allowed(ann, { store: 1 }, 130);
    expect(lines).toEqual([
      { scope: 'session', resource: 'store', address: '192.0.2.1', ...PAYERS, unsaid: 0 },
    ]);
    clock.advance(10_001);
    ann.charge({ store: 1_000 }, PAYERS, 10);
    ann.charge({ store: 1_000 }, PAYERS, 10);
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatchObject({ unsaid: 9 });
  });
});

describe('ordinary life in a room of a thousand', () => {
  const people = 1_000;
  /** What a client does when it comes in: it publishes two tracks and asks for what is on its screen. */
  const arrival: Cost[] = [
    { work: 20 },
    ...[1, 2].flatMap(() => [
      { work: 5 },
      { mediasoup: 3, store: 1, deliveries: people, bytes: people * 250 },
    ]),
    { work: 3 },
    costOf(
      'subscribe',
      { trackIds: Array.from({ length: 49 }, (_, index) => TRACK_ID.parse(`t${index}`)) },
      people,
    ),
    { work: 7, mediasoup: 98 },
    { work: 3, store: 2, bytes: 16_000 },
  ];

  it('[BU37] a thousand who come within ten seconds by one address are limited by nothing', () => {
    const { meter, clock, lines } = edgeOf();
    for (let index = 0; index < people; index += 1) {
      const one = meter('192.0.2.1');
      for (const cost of arrival) expect(one.charge(cost, PAYERS, people)).toBe('allowed');
      clock.advance(10);
    }
    expect(lines).toEqual([]);
  });

  it('[BU37] nor are five mutes and five messages a second, and one who toggles ten times in a row', () => {
    const { meter, clock, lines } = edgeOf();
    const mute = costOf('track.pause', { trackId: TRACK_ID.parse('t'), paused: true }, people);
    const message = { store: 1, deliveries: people, bytes: people * 350 };
    for (let second = 0; second < 60; second += 1) {
      for (let index = 0; index < 5; index += 1) {
        const one = meter(`192.0.2.${index}`);
        for (const cost of [{ work: 1 }, mute, { work: 5 }, message])
          expect(one.charge(cost, PAYERS, people)).toBe('allowed');
      }
      clock.advance(1_000);
    }
    const nervous = meter('192.0.2.9');
    for (let index = 0; index < 20; index += 1) expect(nervous.charge(mute, PAYERS, people)).toBe('allowed');
    expect(lines).toEqual([]);
  });
});

describe('a room full of attackers', () => {
  const people = 103;
  const mute = costOf('track.pause', { trackId: TRACK_ID.parse('t'), paused: true }, people);

  it('[BU47] refuses no button of who presses two a second, and none that changes nothing, ten a second', () => {
    const { meter, clock } = edgeOf();
    const crowd = Array.from({ length: 100 }, (_, index) => meter(`192.0.2.${index}`));
    const ann = meter('198.51.100.1');
    let refused = 0;
    const press = (): boolean =>
      [{ work: 1 }, mute].every((cost) => ann.charge(cost, PAYERS, people) === 'allowed');
    for (let tick = 0; tick < 100; tick += 1) {
      for (const attacker of crowd) {
        for (let count = 0; count < 5; count += 1) {
          if (attacker.charge({ work: 1 }, PAYERS, people) !== 'allowed') break;
          attacker.charge(mute, PAYERS, people);
        }
      }
      if (!press()) refused += 1;
      else if (tick % 5 !== 0) ann.adjust(costOfNothing(mute), PAYERS, people);
      clock.advance(100);
    }
    expect(refused).toBe(0);
  });
});

describe('coming in', () => {
  const people = 20;
  const join = { work: REQUEST_COSTS.join, mediasoup: 40, store: 4, bytes: 3_200, deliveries: people };
  const enter = (budgets: EdgeBudgets, address: string): boolean =>
    budgets.chargeEntry({ address, payers: PAYERS, cost: join, people }) === 'allowed';

  it('[BU54] by an address of their own nobody is refused, while 200 join without end by a hundred others', () => {
    const { budgets, clock } = edgeOf();
    let refusedHonest = 0;
    let refusedOthers = 0;
    for (let tick = 0; tick < 300; tick += 1) {
      for (let attacker = 0; attacker < 200; attacker += 1)
        if (!enter(budgets, `192.0.2.${attacker % 100}`)) refusedOthers += 1;
      if (!enter(budgets, `198.51.100.${tick % 250}`)) refusedHonest += 1;
      clock.advance(100);
    }
    expect(refusedHonest).toBe(0);
    expect(refusedOthers).toBeGreaterThan(40_000);
  });

  it('[BU55] a school behind one IPv4 address gets in, while one IPv6 site joins by a new network each time', () => {
    const { budgets, clock } = edgeOf();
    let refused = 0;
    for (let tick = 0; tick < 300; tick += 1) {
      for (let count = 0; count < 20; count += 1)
        enter(budgets, `2001:db8:1:${(tick * 20 + count).toString(16)}::1`);
      if (tick % 2 === 0 && !enter(budgets, '198.51.100.7')) refused += 1;
      clock.advance(100);
    }
    expect(refused).toBe(0);
  });

  it('[BU55] the same, where each who joined by a new network asks for something and leaves', () => {
    const { budgets, clock, meter } = edgeOf();
    let refused = 0;
    for (let tick = 0; tick < 300; tick += 1) {
      for (let count = 0; count < 20; count += 1) {
        const address = `2001:db8:1:${(tick * 20 + count).toString(16)}::1`;
        if (enter(budgets, address))
          allowed(meter(address), { work: 1, store: 1, deliveries: people }, 3, people);
      }
      if (tick % 2 === 0) {
        if (enter(budgets, '198.51.100.7')) allowed(meter('198.51.100.7'), { work: 1 }, 2, people);
        else refused += 1;
      }
      clock.advance(100);
    }
    expect(refused).toBe(0);
  });

  it('[BU23] takes turns by site: two networks of one IPv6 site are one owner, two sites are two', () => {
    const budgets = edgeOf().budgets;
    const ownerOf = (address: string) => {
      const connection = new ClientConnection(
        Object.assign(new RecordingSocket(), { address }),
        { onSocketClosed: () => undefined },
        budgets,
        { peopleIn: () => 0 },
      );
      return entrantOf(connection, 'peer', () => true).owner.address;
    };
    expect(ownerOf('2001:db8:1:1::1')).toBe(ownerOf('2001:db8:1:2::1'));
    expect(ownerOf('2001:db8:1:1::1')).not.toBe(ownerOf('2001:db8:2:1::1'));
    expect(ownerOf('192.0.2.1')).not.toBe(ownerOf('192.0.2.2'));
  });

  it('[BU56] a thousand who come into one room within ten seconds are not limited', () => {
    const { budgets, clock, lines } = edgeOf();
    for (let count = 1; count <= 1_000; count += 1) {
      const cost = { ...join, bytes: Math.min(count, 100) * 160, deliveries: count };
      const verdict = budgets.chargeEntry({ address: '192.0.2.1', payers: PAYERS, cost, people: count });
      expect(verdict).toBe('allowed');
      clock.advance(10);
    }
    expect(lines).toEqual([]);
  });
});

describe('coming back', () => {
  it('[BU57] a thousand of one room and one address who come back at once, to an edge that knows none of them, are not limited', () => {
    const { budgets, clock, lines } = edgeOf();
    const atOnce = 64;
    for (let count = 1; count <= 1_000; count += 1) {
      // Those that are under way are not among the people yet.
      const people = Math.max(0, count - atOnce) + 1;
      const cost = { work: REQUEST_COSTS.resume, store: 4, bytes: Math.min(people, 100) * 160 };
      const verdict = budgets.chargeEntry({ address: '192.0.2.1', payers: PAYERS, cost, people });
      expect([count, verdict]).toEqual([count, 'allowed']);
      // 400 a second are taken up.
      clock.advance(2.5);
    }
    expect(lines).toEqual([]);
  });
});

describe('a budget that goes to another edge', () => {
  it('[BU41] has no more in it than the edge that had it says was left', () => {
    const { budgets } = edgeOf();
    const before = budgets.newSessionBudget();
    before.resources.spendAll({ work: 145, deliveries: 30_500 });
    expect(isBelowCarried(before.resources.levels)).toBe(true);
    const { clock } = edgeOf();
    const after = carriedBudget(clock, 1_000);
    after.lowerTo(before.resources.levels);
    expect(after.levels).toMatchObject({ work: 5, deliveries: -500 });
    expect(after.lacking({ store: 30 })).toBeUndefined();
  });

  it('[BU16] is not told of where it holds as much as anybody finds on another edge', () => {
    const { budgets } = edgeOf();
    const { resources: budget } = budgets.newSessionBudget();
    budget.spendAll({ work: 80, store: 60 });
    expect(isBelowCarried(budget.levels)).toBe(false);
  });
});
