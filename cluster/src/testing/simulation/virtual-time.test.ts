import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Random } from './random.ts';
import { VirtualTime, bear } from './virtual-time.ts';
import { CALM, Wire } from './wire.ts';

let time: VirtualTime;
const uncaught: string[] = [];

function begin(): VirtualTime {
  uncaught.length = 0;
  time = new VirtualTime(
    () => 0.5,
    (life, fault) => uncaught.push(`${life?.name ?? 'world'}: ${String(fault)}`),
  );
  time.install();
  return time;
}

async function pass(forMs: number): Promise<void> {
  const untilMs = time.nowMs + forMs;
  while ((await time.step(untilMs)) !== undefined);
}

describe('VirtualTime', () => {
  afterEach(() => {
    time.uninstall();
  });

  it('carries events out in the order of their times, each with all that follows from it at once', async () => {
    begin();
    const order: string[] = [];
    setTimeout(() => order.push(`late at ${Date.now() - time.wallMs() + time.nowMs}`), 20);
    const early = async (): Promise<void> => {
      order.push('early');
      for (let hop = 0; hop < 100; hop += 1) await Promise.resolve();
      order.push('its promise');
    };
    setTimeout(() => void early(), 10);
    setTimeout(() => order.push('as early, and set later'), 10);
    setImmediate(() => order.push(`immediate at ${performance.now()}`));
    await pass(100);
    expect(order).toEqual([
      'immediate at 0',
      'early',
      'its promise',
      'as early, and set later',
      'late at 20',
    ]);
    expect([time.nowMs, Math.random()]).toEqual([100, 0.5]);
  });

  it('lets whoever awaits a timer sleep in virtual time, and in earnest afterwards', async () => {
    begin();
    let wokeAtMs: number | undefined;
    void sleep(250).then(() => (wokeAtMs = time.nowMs));
    await pass(1_000);
    expect(wokeAtMs).toBe(250);
    time.uninstall();
    await sleep(1);
    expect(time.pending).toBe(0);
  });

  it('ends what a process has begun when it dies, and holds it up while it stands still', async () => {
    begin();
    const [dead, slow] = [bear('dead'), bear('slow')];
    const order: string[] = [];
    for (const life of [dead, slow])
      await time.as(life, () => {
        setInterval(() => order.push(`${life.name} at ${time.nowMs}`), 10);
      });
    await pass(15);
    dead.alive = false;
    slow.standsStillUntilMs = 50;
    await pass(40);
    expect(order).toEqual(['dead at 10', 'slow at 10', 'slow at 50']);
  });

  it('tells of what nobody caught, and whose it is', async () => {
    begin();
    await time.as(bear('thrower'), () => {
      throw new Error('thrown');
    });
    await time.as(bear('rejecter'), () => {
      void Promise.reject(new Error('rejected'));
    });
    expect(uncaught).toEqual(['thrower: Error: thrown', 'rejecter: Error: rejected']);
  });
});

describe('Wire', () => {
  afterEach(() => {
    time.uninstall();
  });

  it('keeps the order of messages, loses what is under way when it is cut, and tells each side', async () => {
    const net = { time: begin(), random: new Random(1), weather: { ...CALM, stall: 0.5 } };
    const closed: string[] = [];
    const wire = new Wire(
      net,
      { life: bear('caller'), onClosed: () => closed.push('caller') },
      { life: bear('callee'), onClosed: () => closed.push('callee') },
    );
    const heard: number[] = [];
    for (let message = 1; message <= 50; message += 1)
      wire.send('callee', undefined, () => heard.push(message));
    await pass(60_000);
    expect(heard).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    wire.send('callee', undefined, () => heard.push(51));
    wire.cut();
    wire.send('caller', undefined, () => heard.push(52));
    await pass(60_000);
    expect(heard).toHaveLength(50);
    expect(closed.sort()).toEqual(['callee', 'caller']);
    expect([wire.isOpen('caller'), wire.isOpen('callee')]).toEqual([false, false]);
  });
});
