/** Budgets of frames and their bytes before they are parsed, by session, person and address (SPEC BU17, BU63, BU64). */
import type { Clock } from '@plenary/cluster';
import { addressKeysOf } from './address-keys.ts';
import type { AddressKey } from './address-keys.ts';
import { Budget, carriedOf, times } from './budget.ts';
import type { BudgetSettings } from './budget.ts';
import { FLOOD_SETTINGS } from './flood-settings.ts';
import { BudgetBook, SharedBudget } from './shared-budget.ts';
import type { Draft } from './shared-budget.ts';

/** `received` are bytes. */
export const INFLOWS = ['frames', 'received'] as const;
export type Inflow = (typeof INFLOWS)[number];
export type FrameScope = 'session' | 'person' | 'address';
type FrameSettings = BudgetSettings<Inflow>;
/** The frames that a session may send; its next connection continues with the same budget. */
export type FrameBudget = Budget<Inflow>;

const KIB = 1_024;

const SESSION: FrameSettings = { frames: FLOOD_SETTINGS.frames, received: FLOOD_SETTINGS.bytes };
export const FRAME_BUDGETS: Readonly<Record<FrameScope, FrameSettings>> = {
  session: SESSION,
  /** All sessions of a person on one edge, in all rooms: together they may send as much as one. */
  person: SESSION,
  /** An address on one edge, for each socket that it may have: about ten times what people in meetings send. */
  address: {
    frames: { capacity: 60, refillPerSecond: 3 },
    received: { capacity: 64 * KIB, refillPerSecond: 2 * KIB },
  },
};
/** The frames of an entry: each connection that sent nothing lately may send this much at once (SPEC BU48). */
export const ENTRY_FRAMES: Readonly<Record<Inflow, number>> = { frames: 30, received: 32 * KIB };

/** `rate_limited` where others use up a shared budget: the client reconnects automatically. */
export type FrameBudgetVerdict = 'allowed' | 'rate_limited' | 'flooding';

/** Called for each connection that is closed because of its frames. */
export interface CutOffLog {
  cutOff(scope: FrameScope, inflow: Inflow, who: { readonly address: string }): void;
}

export interface FrameBudgetsSettings {
  readonly clock: Clock;
  readonly socketsPerAddress: number;
  readonly log: CutOffLog;
}

/** The budgets of persons and addresses on this edge, which their connections share. */
export class FrameBudgets {
  readonly log: CutOffLog;
  readonly persons: BudgetBook<string, Inflow>;
  readonly addresses: BudgetBook<string, Inflow>;
  readonly #clock: Clock;

  constructor({ clock, socketsPerAddress, log }: FrameBudgetsSettings) {
    this.#clock = clock;
    this.log = log;
    this.persons = new BudgetBook(() => new SharedBudget(FRAME_BUDGETS.person, clock));
    const ofAddress = times(FRAME_BUDGETS.address, socketsPerAddress);
    this.addresses = new BudgetBook(() => new SharedBudget(ofAddress, clock));
  }

  newSessionBudget(): FrameBudget {
    return new Budget(SESSION, this.#clock);
  }

  /** The budget of a session that another edge held until now. */
  carriedSessionBudget(heldForMs: number): FrameBudget {
    return carriedOf(SESSION, this.#clock, heldForMs);
  }

  /** Forgets persons and addresses that sent nothing lately; called periodically. */
  forgetIdle(): void {
    this.persons.forgetIdle();
    this.addresses.forgetIdle();
  }
}

/** Limits the frames of one connection before they are parsed, also of one that never becomes a socket. */
export class FrameGuard {
  readonly #budgets: FrameBudgets;
  readonly #address: string;
  readonly #keys: readonly AddressKey[];
  #sessionBudget: FrameBudget;
  #person: string | undefined;
  #refusal: FrameBudgetVerdict | undefined;

  constructor(budgets: FrameBudgets, address: string) {
    this.#budgets = budgets;
    this.#address = address;
    this.#keys = addressKeysOf(address);
    this.#sessionBudget = budgets.newSessionBudget();
  }

  /** Charges a session and its person from now on, and also for the frames that the connection sent before. */
  payFrom(budget: FrameBudget, person: string): void {
    if (budget !== this.#sessionBudget) {
      const { frames, received } = this.#sessionBudget.levels;
      budget.spendAll({
        frames: Math.max(0, SESSION.frames.capacity - frames),
        received: Math.max(0, SESSION.received.capacity - received),
      });
    }
    this.#sessionBudget = budget;
    this.#person = person;
  }

  /** Like {@link onFrame}, for a decoded frame: decoded text had more bytes than it has characters. */
  onPacket(data: string | Uint8Array): FrameBudgetVerdict {
    return this.onFrame(Buffer.byteLength(data));
  }

  /** Decides whether the frame may be parsed; after a refused frame all are refused. */
  onFrame(byteLength: number): FrameBudgetVerdict {
    if (this.#refusal !== undefined) return this.#refusal;
    const cost = { frames: 1, received: byteLength };
    const own = this.#sessionBudget.lacking(cost);
    if (own !== undefined) return this.#cutOff('session', own);
    const { persons, addresses } = this.#budgets;
    const draft = { drawer: this.#sessionBudget, cost, start: ENTRY_FRAMES, part: 1 };
    const person = this.#person === undefined ? undefined : persons.of(this.#person);
    const ofPerson = person?.lacking(draft);
    if (ofPerson !== undefined) return this.#cutOff('person', ofPerson);
    for (const { key, share } of this.#keys) {
      const ofAddress = addresses.of(key).lacking(partOf(draft, share));
      if (ofAddress !== undefined) return this.#cutOff('address', ofAddress);
    }
    this.#sessionBudget.spendAll(cost);
    person?.spend(draft);
    for (const { key, share } of this.#keys) addresses.of(key).spend(partOf(draft, share));
    return 'allowed';
  }

  #cutOff(scope: FrameScope, inflow: Inflow): FrameBudgetVerdict {
    this.#budgets.log.cutOff(scope, inflow, { address: this.#address });
    // A client that exceeds its part of a shared budget may be honest and should reconnect; one that exceeds its own should not.
    this.#refusal = scope === 'session' ? 'flooding' : 'rate_limited';
    return this.#refusal;
  }
}

/** An IPv6 address identifies nobody: its network and its site pay, whose budgets are larger (SPEC EN32). */
const partOf = (draft: Draft<Inflow>, share: number): Draft<Inflow> =>
  share === 1 ? draft : { ...draft, part: 1 / share };
