import { every } from '../process/guarded-callbacks.ts';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { DRAIN_TICK_MS, ELSEWHERE_WITHIN_MS, nextToLeave } from './pace.ts';

/** The progress of a drain, as operators see it. */
export const DRAIN_STATUS = z.object({
  /** `drained`: empty, or past the deadline; the process admits nobody until the drain is cancelled. */
  state: z.enum(['serving', 'draining', 'drained']),
  /** The peers of a media node, or the sockets of an edge, that are still there. */
  left: z.int().min(0),
  /** The number of members that left since the drain began. */
  gone: z.int().min(0),
  /** The number of them that were disconnected at the deadline. */
  cut: z.int().min(0),
  /** The time until the deadline, in milliseconds; `null` if there is none. */
  remainingMs: z.int().min(0).nullable(),
});
export type DrainStatus = z.infer<typeof DRAIN_STATUS>;

export interface DrainPorts<Member> {
  readonly clock: Clock;
  /** The members that are still here. */
  readonly members: () => readonly Member[];
  /** Whether nothing else remains to wait for. */
  readonly isIdle: () => boolean;
  /**
   * Whether the members have somewhere to go. If not, nobody is asked for {@link ELSEWHERE_WITHIN_MS}: other
   * processes may just have been started. Absent if nobody waits for that.
   */
  readonly hasElsewhere?: () => boolean;
  /** Asks one member to leave; it may take its time, and is asked again as long as it stays. */
  readonly ask: (member: Member, isRepeated: boolean) => void;
  /** Disconnects the remaining members at the deadline. */
  readonly cut: () => void;
  /** Called when the process begins to drain, or serves again, so that others learn of it. */
  readonly changed: (isDraining: boolean) => void;
}

/** The end of a drain. */
export type DrainEnd = 'empty' | 'deadline' | 'cancelled';

/**
 * Empties a process that is to stop: it admits nobody, asks its members to leave in paced batches, and disconnects
 * the rest at the deadline (SPEC DR1, DR2, DR11). It can be cancelled until the process ends.
 */
export class Drain<Member> {
  readonly #ports: DrainPorts<Member>;
  /** The known members, with the time when each was last asked. */
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

  /** Whether the process admits nobody. */
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

  /** Begins a drain, or changes the deadline of the current one. @returns settles when the drain has ended */
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

  /** Serves again. Members that were asked to leave and are still here may stay. */
  cancel(): void {
    if (this.#state === 'serving') return;
    this.#end('cancelled', 'serving');
    this.#ports.changed(false);
  }

  /** Stops the timer at the end of the process; the state stays unchanged. */
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
