import { syncBuiltinESMExports } from 'node:module';
import timersPromises from 'node:timers/promises';
import type { Clock } from '../../clock.ts';

/** One life of a process: what it has begun ends with it. */
export interface Life {
  readonly name: string;
  alive: boolean;
  /** Until then the process stands still, in virtual milliseconds, as one that swaps or was stopped by a signal. */
  standsStillUntilMs: number;
}

export function bear(name: string): Life {
  return { name, alive: true, standsStillUntilMs: 0 };
}

/** What an event is called in the trace; made only when somebody reads it. */
export type Label = () => string;

export interface Step {
  readonly atMs: number;
  readonly life: Life | undefined;
  /** Absent for what is not worth a line, such as timers. */
  readonly label: Label | undefined;
}

interface Event {
  atMs: number;
  readonly order: number;
  readonly life: Life | undefined;
  readonly label: Label | undefined;
  readonly action: () => void;
  cancelled: boolean;
}

/** What `setTimeout` gives in virtual time. */
class TimerHandle {
  readonly #cancel: () => void;

  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }

  cancel(): void {
    this.#cancel();
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}

const START_MS = 1_700_000_000_000;

/**
 * Time that passes only from event to event. While it is {@link install}ed it stands in for the timers, the clocks and the
 * chance of this thread, so that the product's own code runs in it as it is, and a seed decides everything that happens.
 * A timer belongs to the process that set it: each event is of one process, and all that follows from it at once, up to
 * the last promise, is over before the next one begins.
 */
export class VirtualTime implements Clock {
  readonly #heap: Event[] = [];
  readonly #settle: () => Promise<void>;
  readonly #chance: () => number;
  readonly #onUncaught: (life: Life | undefined, fault: unknown) => void;
  #nowMs = 0;
  #order = 0;
  #life: Life | undefined;
  #restore: (() => void) | undefined;

  /**
   * @param chance - stands in for `Math.random`
   * @param onUncaught - told of what an event threw, or a promise of it that nobody listened to
   */
  constructor(chance: () => number, onUncaught: (life: Life | undefined, fault: unknown) => void) {
    this.#chance = chance;
    this.#onUncaught = onUncaught;
    // An immediate comes after every promise that is due, however long their chain.
    const immediately = setImmediate;
    this.#settle = () => new Promise((resolve) => immediately(resolve));
  }

  /** Milliseconds since the start. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Events that are still to come, those of dead processes included. */
  get pending(): number {
    return this.#heap.length;
  }

  readonly wallMs = (): number => START_MS + this.#nowMs;
  readonly monotonicMs = (): number => this.#nowMs;

  /** Sets an event for a process, or, without one, for the world. @returns takes it back */
  schedule(
    delayMs: number,
    life: Life | undefined,
    label: Label | undefined,
    action: () => void,
  ): () => void {
    this.#order += 1;
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const event: Event = { atMs, order: this.#order, life, label, action, cancelled: false };
    this.#push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /**
   * Carries out the next event and all that follows from it at once.
   * @returns `undefined` when there is none up to `untilMs`, which it is then
   */
  async step(untilMs: number): Promise<Step | undefined> {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return undefined;
      }
      this.#pop();
      const { life, label } = next;
      if (next.cancelled || life?.alive === false) continue;
      if (life !== undefined && life.standsStillUntilMs > next.atMs) {
        next.atMs = life.standsStillUntilMs;
        this.#push(next);
        continue;
      }
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      await this.as(life, next.action);
      return { atMs: this.#nowMs, life, label };
    }
  }

  /** Runs something as a process does, and all that follows from it at once. */
  async as(life: Life | undefined, action: () => void): Promise<void> {
    this.#life = life;
    try {
      action();
    } catch (fault) {
      this.#onUncaught(life, fault);
    }
    await this.#settle();
    this.#life = undefined;
  }

  /** Takes the place of this thread's timers, clocks and chance. */
  install(): void {
    const originals: (() => void)[] = [];
    const replace = (target: object, name: string, value: unknown): void => {
      const descriptor = Object.getOwnPropertyDescriptor(target, name);
      Object.defineProperty(target, name, { value, configurable: true, writable: true, enumerable: true });
      originals.push(() => {
        if (descriptor === undefined) Reflect.deleteProperty(target, name);
        else Object.defineProperty(target, name, descriptor);
      });
    };
    replace(globalThis, 'setTimeout', this.#setTimeout);
    replace(globalThis, 'setInterval', this.#setInterval);
    replace(globalThis, 'setImmediate', (action: () => void) => this.#setTimeout(action));
    replace(globalThis, 'clearTimeout', clear);
    replace(globalThis, 'clearInterval', clear);
    replace(timersPromises, 'setTimeout', this.#sleep);
    syncBuiltinESMExports();
    replace(Date, 'now', this.wallMs);
    replace(performance, 'now', this.monotonicMs);
    replace(Math, 'random', this.#chance);
    const onRejection = (fault: unknown): void => {
      this.#onUncaught(this.#life, fault);
    };
    process.on('unhandledRejection', onRejection);
    this.#restore = () => {
      process.off('unhandledRejection', onRejection);
      for (const original of originals.reverse()) original();
      syncBuiltinESMExports();
    };
  }

  uninstall(): void {
    this.#restore?.();
    this.#restore = undefined;
  }

  readonly #setTimeout = (
    action: (...with_: unknown[]) => void,
    delayMs = 0,
    ...with_: unknown[]
  ): TimerHandle =>
    new TimerHandle(
      this.schedule(delayMs, this.#life, undefined, () => {
        action(...with_);
      }),
    );

  readonly #sleep = (delayMs = 0): Promise<void> =>
    new Promise((resolve) => {
      this.#setTimeout(() => {
        resolve();
      }, delayMs);
    });

  readonly #setInterval = (action: () => void, everyMs: number): TimerHandle => {
    const life = this.#life;
    let cancel = (): void => undefined;
    const arm = (): void => {
      cancel = this.schedule(everyMs, life, undefined, () => {
        arm();
        action();
      });
    };
    arm();
    return new TimerHandle(() => {
      cancel();
    });
  };

  #push(event: Event): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || !isBefore(event, parent)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = heap[2 * index + 1];
      const right = heap[2 * index + 2];
      const [child, childIndex] =
        right !== undefined && left !== undefined && isBefore(right, left)
          ? [right, 2 * index + 2]
          : [left, 2 * index + 1];
      if (child === undefined || !isBefore(child, last)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}

const clear = (handle: unknown): void => {
  if (handle instanceof TimerHandle) handle.cancel();
};

const isBefore = (left: Event, right: Event): boolean =>
  left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order);
