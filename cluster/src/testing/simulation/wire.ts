import type { Random } from './random.ts';
import type { Label, Life, VirtualTime } from './virtual-time.ts';

/** How bad the network between processes is now; each is a chance from 0 to 1. */
export interface Weather {
  /** That a message is held up for seconds, and everything behind it on its connection. */
  stall: number;
  /** That a message over the store's pub/sub is lost; as much that it comes twice. */
  pubSubLoss: number;
  /** That a request that may be repeated comes twice. */
  double: number;
  /** That a command to the store is lost on its way; as much that its answer is. */
  storeLoss: number;
}

export const CALM: Weather = { stall: 0, pubSubLoss: 0, double: 0, storeLoss: 0 };
export const STORM: Weather = { stall: 0.01, pubSubLoss: 0.05, double: 0.1, storeLoss: 0.02 };

/** What everything that carries messages works with. */
export interface Net {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly weather: Weather;
}

export type Side = 'caller' | 'callee';

interface End {
  readonly life: Life;
  readonly onClosed: () => void;
  open: boolean;
  /** When the last message so far arrives: a connection keeps their order. */
  lastArrivalMs: number;
}

const other = (side: Side): Side => (side === 'caller' ? 'callee' : 'caller');

/** A side that lost its connection without a word notices it within this time, in milliseconds. */
const NOTICED_WITHIN_MS = 3_000;

/**
 * One connection between two processes, as TCP gives it: in order, whole, late, and broken without a word; what was under
 * way is lost then, and each side notices at a time of its own.
 */
export class Wire {
  readonly #net: Net;
  readonly #ends: Record<Side, End>;
  #cut = false;

  constructor(net: Net, caller: Pick<End, 'life' | 'onClosed'>, callee: Pick<End, 'life' | 'onClosed'>) {
    this.#net = net;
    this.#ends = {
      caller: { ...caller, open: true, lastArrivalMs: 0 },
      callee: { ...callee, open: true, lastArrivalMs: 0 },
    };
  }

  get isCut(): boolean {
    return this.#cut;
  }

  lifeOf(side: Side): Life {
    return this.#ends[side].life;
  }

  isOpen(side: Side): boolean {
    return this.#ends[side].open;
  }

  /** Carries something to a side and does it there. */
  send(to: Side, label: Label | undefined, action: () => void): void {
    const end = this.#ends[to];
    const from = this.#ends[other(to)];
    if (this.#cut || !from.open) return;
    const { time, random, weather } = this.#net;
    const heldUpMs = random.chance(weather.stall) ? random.between(500, 7_000) : 0;
    const arrivalMs = Math.max(end.lastArrivalMs, time.nowMs + random.between(1, 20) + heldUpMs);
    end.lastArrivalMs = arrivalMs;
    const line = label === undefined ? undefined : () => `${from.life.name} → ${end.life.name} ${label()}`;
    time.schedule(arrivalMs - time.nowMs, end.life, line, () => {
      if (end.open && !this.#cut) action();
    });
  }

  /** Breaks the connection; each living side learns of it by itself. */
  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    for (const side of ['caller', 'callee'] as const) {
      const noticeMs = this.#net.random.between(1, NOTICED_WITHIN_MS);
      this.#net.time.schedule(noticeMs, this.#ends[side].life, undefined, () => {
        this.#closed(side);
      });
    }
  }

  /** One side ends the connection: what it sent before arrives, and then its end. */
  close(by: Side): void {
    if (!this.#ends[by].open) return;
    this.send(other(by), undefined, () => {
      this.#closed(other(by));
    });
    this.#closed(by);
  }

  #closed(side: Side): void {
    const end = this.#ends[side];
    if (!end.open) return;
    end.open = false;
    end.onClosed();
  }
}
