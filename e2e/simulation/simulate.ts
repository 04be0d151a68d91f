import { DATACENTER_ID } from '@plenary/cluster/ids';
import type { RoomId } from '@plenary/cluster/ids';
import { Random } from '@plenary/cluster/testing/simulation/random';
import { RuleBroken } from '@plenary/cluster/testing/simulation/rule-broken';
import { SOUND_STORE } from '@plenary/cluster/testing/simulation/store-server';
import type { StoreParts } from '@plenary/cluster/testing/simulation/store-server';
import { VirtualTime } from '@plenary/cluster/testing/simulation/virtual-time';
import {
  checkTrees,
  checkEntries,
  checkFreed,
  checkOneCopy,
  checkPlacements,
  checkSteadyState,
  checkSlices,
} from './checks.ts';
import type { BrokenParts } from './media-node.ts';
import { DATA_LOSS, planOf } from './plan.ts';
import type { Plan } from './plan.ts';
import { SimulatedWorld } from './simulated-world.ts';

/** Lines of the trace that a failure shows. */
const LAST_LINES = 60;
const BOOT_MS = 3_000;
const ACTIVE_MS = 30_000;
/** No consequence of a fault may last longer than this after the last one, in milliseconds. */
const STEADY_AFTER_MS = 60_000;
/** A dead client's state is removed within this time, in milliseconds: ICE takes 30 s, its grace 20 s, and the rest follows. */
const FREED_MS = 75_000;
/** How long a second copy may last after a fault, in milliseconds: gateways check their claim every five seconds. */
const SECOND_COPY_MAX_MS = 20_000;

export interface SimulateOptions {
  /** Is called with each line of the trace. */
  readonly onLine?: (line: string) => void;
  /** Parts that a test replaced by broken ones. */
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
  return run.run();
}

class Run {
  readonly #seed: number;
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #random: Random;
  readonly #plan: Plan;
  readonly #time: VirtualTime;
  readonly #world: SimulatedWorld;
  /** The last lines; their text is built only when it is printed. */
  readonly #lines: { readonly atMs: number; readonly line: () => string }[] = [];
  #steps = 0;
  #hasStoreLostData = false;

  constructor(seed: number, options: SimulateOptions) {
    this.#seed = seed;
    this.#onLine = options.onLine;
    this.#random = new Random(seed);
    this.#plan = planOf(this.#random);
    this.#time = new VirtualTime(this.#random.next, (life, fault) => {
      const detail = fault instanceof Error ? (fault.stack ?? fault.message) : String(fault);
      this.#world.onBroken(
        new RuleBroken(`LC2: ${life?.name ?? 'the world'} left an error uncaught: ${detail}`),
      );
    });
    this.#world = new SimulatedWorld({
      plan: this.#plan,
      time: this.#time,
      random: this.#random,
      storeParts: options.storeParts ?? SOUND_STORE,
      broken: options.broken ?? {},
      trace: (line) => {
        this.#trace(line);
      },
    });
  }

  async run(): Promise<Outcome> {
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
    await this.#advanceTo(BOOT_MS);
    world.setWeather(isStormy);
    const stopAtMs = BOOT_MS + ACTIVE_MS;
    for (const client of clients) {
      this.#time.schedule(random.between(0, 8_000), undefined, undefined, () => {
        world.addPerson(client);
      });
    }
    this.#repeat(stopAtMs, 50, 900, () => {
      world.actRandomly();
    });
    this.#repeat(stopAtMs, 1_000, 8_000, () => {
      const fault = random.pick(faults);
      if (fault === undefined) return;
      this.#hasStoreLostData ||= DATA_LOSS.has(fault);
      world.inject(fault);
    });
    await this.#advanceTo(stopAtMs);
    this.#trace(() => 'no more faults are injected');
    world.setWeather(false);
    await this.#advanceTo(Math.max(stopAtMs, this.#world.store.awayUntilMs) + STEADY_AFTER_MS);
    // Owners do not republish everything that the store lost (see ARCHITECTURE, "What is not there yet").
    if (!this.#hasStoreLostData) checkSteadyState(world);
    await checkEntries(world);
    this.#trace(() => 'everybody leaves');
    world.removeEverybody();
    await this.#advanceTo(this.#time.nowMs + FREED_MS);
    // If every edge that knew a room died, the next person to join it causes its removal (see ARCHITECTURE).
    if (faults.includes('edge dies')) await this.#visit(world.store.stores.rooms.roomIds());
    checkFreed(world);
  }

  /** Has a person join each room, stay until its ghosts are swept, and leave. */
  async #visit(roomIds: readonly RoomId[]): Promise<void> {
    if (roomIds.length === 0) return;
    const datacenter = this.#plan.edges[0]?.datacenter ?? DATACENTER_ID.parse('dc0');
    for (const roomId of roomIds) this.#world.addPerson({ name: 'visitor', roomId, datacenter });
    await this.#advanceTo(this.#time.nowMs + STEADY_AFTER_MS);
    this.#world.removeEverybody(true);
    await this.#advanceTo(this.#time.nowMs + 10_000);
  }

  /** Repeats an action at random intervals. */
  #repeat(untilMs: number, leastMs: number, mostMs: number, action: () => void): void {
    const next = (): void => {
      this.#time.schedule(this.#random.between(leastMs, mostMs), undefined, undefined, () => {
        if (this.#time.nowMs >= untilMs) return;
        action();
        next();
      });
    };
    next();
  }

  async #advanceTo(untilMs: number): Promise<void> {
    for (;;) {
      const step = await this.#time.step(untilMs);
      if (step === undefined) return;
      this.#steps += 1;
      if (step.label !== undefined) this.#trace(step.label);
      this.#check();
    }
  }

  #check(): void {
    const world = this.#world;
    if (world.broken !== undefined) throw world.broken;
    const nowMs = this.#time.nowMs;
    checkPlacements(world);
    // For one lease after it lost data, the store may give ports to a node while another one believes to hold them.
    if (nowMs - world.store.forgotAtMs > this.#plan.nodeSettings.leaseMs) checkSlices(world);
    checkTrees(world);
    const isCalm = nowMs - world.lastFaultAtMs > SECOND_COPY_MAX_MS && !this.#hasStoreLostData;
    if (isCalm && !this.#plan.isStormy) checkOneCopy(world);
  }

  #trace(line: () => string): void {
    const atMs = this.#time.nowMs;
    this.#onLine?.(lineOf(atMs, line));
    this.#lines.push({ atMs, line });
    if (this.#lines.length > LAST_LINES) this.#lines.shift();
  }
}

const lineOf = (atMs: number, line: () => string): string =>
  `${(atMs / 1_000).toFixed(3).padStart(8)}  ${line()}`;
