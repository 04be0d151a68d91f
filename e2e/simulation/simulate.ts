import { DATACENTER_ID } from '@plenary/cluster/ids';
import type { RoomId } from '@plenary/cluster/ids';
import { Random } from '@plenary/cluster/testing/simulation/random';
import { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import type { StoreParts } from '@plenary/cluster/testing/simulation/store-server';
import { VirtualTime } from '@plenary/cluster/testing/simulation/virtual-time';
import {
  checkForest,
  checkEntries,
  checkFreed,
  checkOneCopy,
  checkPlacements,
  checkSettled,
  checkSlices,
} from './checks.ts';
import type { BrokenParts } from './media-node.ts';
import { FORGETTING, planOf } from './plan.ts';
import type { Plan } from './plan.ts';
import { SimulatedWorld } from './simulated-world.ts';

/** Lines of the trace that a failure shows. */
const LAST_LINES = 60;
const BOOT_MS = 3_000;
const ACTIVE_MS = 30_000;
/** After the last fault nothing that it caused lasts longer than this, in milliseconds. */
const SETTLE_MS = 60_000;
/** What a dead client left is gone after this time: ICE's own 30 s, its grace of 20 s, and then the rest. */
const FREED_MS = 75_000;
/** A copy too many may last so long after a fault, in milliseconds: gateways make sure of themselves every five seconds. */
const COPIES_SETTLE_MS = 20_000;

export interface SimulateOptions {
  /** Takes each line of the trace as it comes. */
  readonly onLine?: (line: string) => void;
  /** Parts that are broken on purpose. */
  readonly storeParts?: StoreParts;
  readonly broken?: BrokenParts;
}

export interface Outcome {
  readonly seed: number;
  readonly plan: Plan;
  readonly steps: number;
  /** Absent when every rule held. */
  readonly broken?: { readonly rule: RuleBroken; readonly lastLines: readonly string[] };
}

/** Runs one seed: the same seed gives the same steps and the same outcome. */
export async function simulate(seed: number, options: SimulateOptions = {}): Promise<Outcome> {
  const run = new Run(seed, options);
  return run.toTheEnd();
}

class Run {
  readonly #seed: number;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #time: VirtualTime;
  readonly #world: SimulatedWorld;
  /** The last lines, made only when somebody reads them. */
  readonly #lines: { readonly atMs: number; readonly line: () => string }[] = [];
  #steps = 0;
  #hasForgotten = false;

  constructor(seed: number, options: SimulateOptions) {
    this.#seed = seed;
    this.#onLine = options.onLine;
    this.#random = new Random(seed);
    this.#plan = planOf(this.#random);
    this.#time = new VirtualTime(this.#random.next, (life, fault) => {
      const what = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      this.#world.onBroken(
        new RuleBroken(`LC2: ${life?.name ?? 'the world'} caught nobody's error: ${what}`),
      );
    });
    this.#world = new SimulatedWorld({
      plan: this.#plan,
      time: this.#time,
      random: this.#random,
      storeParts: options.storeParts ?? SOUND_STORE,
      broken: options.broken ?? {},
      tell: (line) => {
        this.#tell(line);
      },
    });
  }

  async toTheEnd(): Promise<Outcome> {
    this.#time.install();
    try {
      await this.#phases();
      return { seed: this.#seed, plan: this.#plan, steps: this.#steps };
    } catch (fault) {
      if (!(fault instanceof RuleBroken)) throw fault;
      const lastLines = this.#lines.map(({ atMs, line }) => lineOf(atMs, line));
      return { seed: this.#seed, plan: this.#plan, steps: this.#steps, broken: { rule: fault, lastLines } };
    } finally {
      this.#time.uninstall();
    }
  }

  async #phases(): Promise<void> {
    const { faults, clients, isStormy } = this.#plan;
    const world = this.#world;
    const random = this.#random;
    world.startProcesses();
    await this.#until(BOOT_MS);
    world.setWeather(isStormy);
    const stopAtMs = BOOT_MS + ACTIVE_MS;
    for (const client of clients) {
      this.#time.schedule(random.between(0, 8_000), undefined, undefined, () => {
        world.comes(client);
      });
    }
    this.#again(stopAtMs, 50, 900, () => {
      world.act();
    });
    this.#again(stopAtMs, 1_000, 8_000, () => {
      const fault = random.pick(faults);
      if (fault === undefined) return;
      this.#hasForgotten ||= FORGETTING.has(fault);
      world.goWrong(fault);
    });
    await this.#until(stopAtMs);
    this.#tell(() => 'nothing goes wrong any more');
    world.setWeather(false);
    await this.#until(Math.max(stopAtMs, this.#world.store.awayUntilMs) + SETTLE_MS);
    // What the store forgot is not all published again (see ARCHITECTURE, "What is not there yet").
    if (!this.#hasForgotten) checkSettled(world);
    await checkEntries(world);
    this.#tell(() => 'everybody leaves');
    world.everybodyLeaves();
    await this.#until(this.#time.nowMs + FREED_MS);
    // Who knew of a room may have died: then its keys are found by whoever comes to it next (see ARCHITECTURE).
    if (faults.includes('edge dies')) await this.#visit(world.store.stores.rooms.roomIds());
    checkFreed(world);
  }

  /** Somebody comes to rooms, stays until they are swept, and goes. */
  async #visit(roomIds: readonly RoomId[]): Promise<void> {
    if (roomIds.length === 0) return;
    const datacenter = this.#plan.edges[0]?.datacenter ?? DATACENTER_ID.parse('dc0');
    for (const roomId of roomIds) this.#world.comes({ name: 'visitor', roomId, datacenter });
    await this.#until(this.#time.nowMs + SETTLE_MS);
    this.#world.everybodyLeaves(true);
    await this.#until(this.#time.nowMs + 10_000);
  }

  /** Lets something happen again and again. */
  #again(untilMs: number, leastMs: number, mostMs: number, action: () => void): void {
    const next = (): void => {
      this.#time.schedule(this.#random.between(leastMs, mostMs), undefined, undefined, () => {
        if (this.#time.nowMs >= untilMs) return;
        action();
        next();
      });
    };
    next();
  }

  async #until(untilMs: number): Promise<void> {
    for (;;) {
      const step = await this.#time.step(untilMs);
      if (step === undefined) return;
      this.#steps += 1;
      if (step.label !== undefined) this.#tell(step.label);
      this.#check();
    }
  }

  #check(): void {
    const world = this.#world;
    if (world.broken !== undefined) throw world.broken;
    const nowMs = this.#time.nowMs;
    checkPlacements(world);
    // For a lease's time after it forgot, the store may give away what somebody believes to have.
    if (nowMs - world.store.forgotAtMs > this.#plan.nodeSettings.leaseMs) checkSlices(world);
    checkForest(world);
    const isCalm = nowMs - world.lastFaultAtMs > COPIES_SETTLE_MS && !this.#hasForgotten;
    if (isCalm && !this.#plan.isStormy) checkOneCopy(world);
  }

  #tell(line: () => string): void {
    const atMs = this.#time.nowMs;
    this.#onLine?.(lineOf(atMs, line));
    this.#lines.push({ atMs, line });
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
  }
}

const lineOf = (atMs: number, line: () => string): string =>
  `${(atMs / 1_000).toFixed(3).padStart(8)}  ${line()}`;
