import { every } from '../process/guarded-callbacks.ts';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { DRAIN_TICK_MS, ELSEWHERE_WITHIN_MS, nextToLeave } from './pace.ts';

/** How far a drain is, as it is told to operators. */
export const DRAIN_STATUS = z.object({
  /** `drained`: empty, or past the deadline; it takes nobody new until the drain is cancelled. */
  state: z.enum(['serving', 'draining', 'drained']),
  /** Peers of a media node, sockets of an edge, that are still there. */
  left: z.int().min(0),
  /** Those that went since the drain began. */
  gone: z.int().min(0),
  /** Those of them that were cut off at the deadline. */
  cut: z.int().min(0),
  /** Until the deadline; `null` when there is none. */
  remainingMs: z.int().min(0).nullable(),
});
export type DrainStatus = z.infer<typeof DRAIN_STATUS>;

export interface DrainPorts<Member> {
  readonly clock: Clock;
  /** Who is still here. */
  readonly members: () => readonly Member[];
  /** Whether nothing else is left to wait for either. */
  readonly isIdle: () => boolean;
  /**
   * Whether whoever is asked has somewhere to go. Where not, nobody is asked for {@link ELSEWHERE_WITHIN_MS}: the others may
   * just have been started. Absent, nobody waits.
   */
  readonly hasElsewhere?: () => boolean;
  /** Asks one to leave; it may take its time, and is asked again as long as it stays. */
  readonly ask: (member: Member, isRepeated: boolean) => void;
  /** The deadline has come: who is here is cut off. */
  readonly cut: () => void;
  /** The process begins to drain, or serves again: others are to know. */
  readonly changed: (isDraining: boolean) => void;
}

/** How a drain ended. */
export type DrainEnd = 'empty' | 'deadline' | 'cancelled';

/**
 * Empties a process that is to go: nobody new comes, who is here is asked to leave in paced batches, and cut off at the
 * deadline (SPEC DR1, DR2, DR11). It can be cancelled until the process ends.
 */
export class Drain<Member> {
  readonly #ports: DrainPorts<Member>;
  /** Who is known, with when it was last asked. */
  #known = new Map<Member, number | undefined>();
  #state: DrainStatus['state'] = 'serving';
  #beganAtMs = 0;
  #deadlineAtMs = 0;
  #gone = 0;
  #cut = 0;
  #timer: NodeJS.Timeout | undefined;
  #ended = Promise.withResolvers<DrainEnd>();

  constructor(ports: DrainPorts<Member>) {
    this.#ports = ports;
  }

  /** Whether nobody new is taken. */
  get isOn(): boolean {
    return this.#state !== 'serving';
  }

  get status(): DrainStatus {
    const { clock, members } = this.#ports;
    return {
      state: this.#state,
      left: members().length,
      gone: this.#gone,
      cut: this.#cut,
      remainingMs:
        this.#state === 'draining' ? Math.max(0, Math.round(this.#deadlineAtMs - clock.monotonicMs())) : null,
    };
  }

  /** Begins, or sets another deadline where it has begun. @returns settles when the drain has ended */
  begin(deadlineMs: number): Promise<DrainEnd> {
    const { clock, changed } = this.#ports;
    this.#deadlineAtMs = clock.monotonicMs() + deadlineMs;
    if (this.#state !== 'draining') {
      const wasServing = this.#state === 'serving';
      this.#state = 'draining';
      this.#beganAtMs = clock.monotonicMs();
      this.#ended = Promise.withResolvers<DrainEnd>();
      this.#known = new Map();
      [this.#gone, this.#cut] = [0, 0];
      if (wasServing) changed(true);
      this.#timer = every(DRAIN_TICK_MS, () => {
        this.#tick();
      });
    }
    const { promise } = this.#ended;
    this.#tick();
    return promise;
  }

  /** Serves again. Who was asked to leave and has not yet may stay. */
  cancel(): void {
    if (this.#state === 'serving') return;
    this.#end('cancelled', 'serving');
    this.#ports.changed(false);
  }

  /** The process ends: stops the timer, and stays as it is. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    if (this.#state !== 'draining') return;
    const { clock, members, isIdle, ask, cut } = this.#ports;
    const nowMs = clock.monotonicMs();
    const here = members();
    this.#count(here);
    if (here.length === 0 && isIdle()) {
      this.#end('empty', 'drained');
      return;
    }
    if (nowMs >= this.#deadlineAtMs) {
      this.#cut = here.length;
      cut();
      this.#count(members());
      this.#end('deadline', 'drained');
      return;
    }
    const mayWait = nowMs - this.#beganAtMs < ELSEWHERE_WITHIN_MS;
    if (mayWait && this.#ports.hasElsewhere?.() === false) return;
    const known = here.map((member) => ({ member, askedAtMs: this.#known.get(member) }));
    for (const member of nextToLeave(known, { nowMs, deadlineAtMs: this.#deadlineAtMs })) {
      const isRepeated = this.#known.get(member) !== undefined;
      this.#known.set(member, nowMs);
      ask(member, isRepeated);
    }
  }

  #count(here: readonly Member[]): void {
    const still = new Set(here);
    for (const member of this.#known.keys()) {
      if (still.has(member)) continue;
      this.#known.delete(member);
      this.#gone += 1;
    }
    for (const member of here) if (!this.#known.has(member)) this.#known.set(member, undefined);
  }

  #end(how: DrainEnd, state: DrainStatus['state']): void {
    clearInterval(this.#timer);
    this.#state = state;
    this.#ended.resolve(how);
  }
}
