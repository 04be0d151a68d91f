import { PATH_WITHIN_MS } from './address-reachability.ts';
import type { Timers } from '@plenary/cluster';

export interface PathEvents {
  /** The client has a path to this node, over one of its transports. */
  readonly found: () => void;
  /** The client has no path any more. */
  readonly left: () => void;
  /** The client found no path in time; called once. */
  readonly missed: () => void;
}

/** Watches whether the client of one peer finds a path to this node (SPEC HL7). */
export class PathWatch<Key> {
  readonly #timers: Timers;
  readonly #events: PathEvents;
  readonly #connected = new Set<Key>();
  #wasFound = false;
  #cancel: (() => void) | undefined;
  #hasMissed = false;

  constructor(timers: Timers, events: PathEvents) {
    this.#timers = timers;
    this.#events = events;
  }

  /** Whether the client found no path in time, and has found none since. */
  get hasMissed(): boolean {
    return this.#hasMissed;
  }

  /** The client sent the parameters that it needs to connect: the time for finding a path begins. */
  expect(): void {
    if (this.#wasFound || this.#hasMissed) return;
    this.#cancel ??= this.#timers.after(PATH_WITHIN_MS, () => {
      this.#hasMissed = true;
      this.#events.missed();
    });
  }

  changed(transport: Key, state: 'connected' | 'disconnected'): void {
    if (state === 'disconnected') {
      if (this.#connected.delete(transport) && this.#connected.size === 0) this.#events.left();
      return;
    }
    this.#cancel?.();
    this.#wasFound = true;
    this.#hasMissed = false;
    if (this.#connected.size === 0) this.#events.found();
    this.#connected.add(transport);
  }

  close(): void {
    this.#cancel?.();
    if (this.#connected.size > 0) this.#events.left();
    this.#connected.clear();
  }
}
