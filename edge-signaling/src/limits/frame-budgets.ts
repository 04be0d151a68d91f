/** What may come in before anything of it is read: frames and their bytes, by session, person and address (SPEC BU17, BU63, BU64). */
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
/** What a session may send: it goes along to its next connection. */
export type FramePurse = Budget<Inflow>;

const KIB = 1_024;

const SESSION: FrameSettings = { frames: FLOOD_SETTINGS.frames, received: FLOOD_SETTINGS.bytes };
export const FRAME_BUDGETS: Readonly<Record<FrameScope, FrameSettings>> = {
  session: SESSION,
  /** All sessions of a person on one edge, in whatever rooms, together send what one may. */
  person: SESSION,
  /** Of an address on one edge, for each socket that it may have: some ten times what people in meetings send. */
  address: {
    frames: { capacity: 60, refillPerSecond: 3 },
    received: { capacity: 64 * KIB, refillPerSecond: 2 * KIB },
  },
};
/** What coming in takes: so much is due at once to each connection that sent nothing lately (SPEC BU48). */
export const FRAMES_OF_COMING_IN: Readonly<Record<Inflow, number>> = { frames: 30, received: 32 * KIB };

/** `rate_limited` where others use up what is shared: the client comes back by itself. */
export type FrameBudgetVerdict = 'allowed' | 'rate_limited' | 'flooding';

/** Told of each connection that is closed for what came in on it. */
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

  newPurse(): FramePurse {
    return new Budget(SESSION, this.#clock);
  }

  /** The purse of a session that was held elsewhere until now. */
  carriedPurse(heldForMs: number): FramePurse {
    return carriedOf(SESSION, this.#clock, heldForMs);
  }

  /** Forgets who sent nothing lately; called now and then. */
  forgetIdle(): void {
    this.persons.forgetIdle();
    this.addresses.forgetIdle();
  }
}

/** Limits the frames of one connection before anything of them is read, also of one that never becomes a socket. */
export class FrameGuard {
  readonly #budgets: FrameBudgets;
  readonly #address: string;
  readonly #keys: readonly AddressKey[];
  #purse: FramePurse;
  #person: string | undefined;
  #refusal: FrameBudgetVerdict | undefined;

  constructor(budgets: FrameBudgets, address: string) {
    this.#budgets = budgets;
    this.#address = address;
    this.#keys = addressKeysOf(address);
    this.#purse = budgets.newPurse();
  }

  /** From now on a session and its person pay; for what the connection sent before, too. */
  payFrom(purse: FramePurse, person: string): void {
    if (purse !== this.#purse) {
      const { frames, received } = this.#purse.levels;
      purse.spendAll({
        frames: Math.max(0, SESSION.frames.capacity - frames),
        received: Math.max(0, SESSION.received.capacity - received),
      });
    }
    this.#purse = purse;
    this.#person = person;
  }

  /** As {@link onFrame}, of a frame as it came: text has been decoded by then, and had more bytes than it has characters. */
  onPacket(data: string | Uint8Array): FrameBudgetVerdict {
    return this.onFrame(Buffer.byteLength(data));
  }

  /** Says whether the frame may be read; after one that may not, none may. */
  onFrame(byteLength: number): FrameBudgetVerdict {
    if (this.#refusal !== undefined) return this.#refusal;
    const cost = { frames: 1, received: byteLength };
    const own = this.#purse.lacking(cost);
    if (own !== undefined) return this.#cutOff('session', own);
    const { persons, addresses } = this.#budgets;
    const draft = { drawer: this.#purse, cost, start: FRAMES_OF_COMING_IN, part: 1 };
    const person = this.#person === undefined ? undefined : persons.of(this.#person);
    const ofPerson = person?.lacking(draft);
    if (ofPerson !== undefined) return this.#cutOff('person', ofPerson);
    for (const { key, share } of this.#keys) {
      const ofAddress = addresses.of(key).lacking(partOf(draft, share));
      if (ofAddress !== undefined) return this.#cutOff('address', ofAddress);
    }
    this.#purse.spendAll(cost);
    person?.spend(draft);
    for (const { key, share } of this.#keys) addresses.of(key).spend(partOf(draft, share));
    return 'allowed';
  }

  #cutOff(scope: FrameScope, inflow: Inflow): FrameBudgetVerdict {
    this.#budgets.log.cutOff(scope, inflow, { address: this.#address });
    // Whoever exceeds their part of what is shared may be honest, and is to come back; by their own doing nobody is.
    this.#refusal = scope === 'session' ? 'flooding' : 'rate_limited';
    return this.#refusal;
  }
}

/** One IPv6 address is nobody: its network and its site pay, which may have more (SPEC EN32). */
const partOf = (draft: Draft<Inflow>, share: number): Draft<Inflow> =>
  share === 1 ? draft : { ...draft, part: 1 / share };
