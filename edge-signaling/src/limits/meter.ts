import { PlenaryError, TokenBucket } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { RoomId, TenantId } from '@plenary/cluster/ids';
import { addressKeysOf, siteOf } from './address-keys.ts';
import { Budget, BUDGETS, carriedBudget, SMALL_ROOM, times } from './budget.ts';
import type { Scope } from './budget.ts';
import { costOfComingIn, HTTP_COST } from './cost.ts';
import type { Cost, Resource } from './cost.ts';
import { FLOOD_SETTINGS } from './flood-settings.ts';
import { FrameBudgets } from './frame-budgets.ts';
import type { FramePurse } from './frame-budgets.ts';
import { LeftPurses } from './left-purses.ts';
import type { LimitedLog, LimitedWho } from './limited-log.ts';
import { BudgetBook, SharedBudget } from './shared-budget.ts';
import type { Draft, Drawer } from './shared-budget.ts';

/** What one person may spend, and how often more is borne: it goes along with the session. */
export interface Purse {
  readonly budget: Budget;
  /** Refusals for being too fast that are borne before the connection is dropped (SPEC RL2). */
  readonly patience: TokenBucket;
  readonly frames: FramePurse;
}

/** Who pays along with a session: its room, its tenant, and its person. */
export interface Payers {
  readonly roomId: RoomId;
  readonly tenantId: TenantId | undefined;
  /** Absent while nobody has shown who they are. */
  readonly person?: string;
}

/** What is to be paid, and by whom. */
export interface Charge {
  readonly purse: Purse;
  readonly address: string;
  /** Absent before there is a session. */
  readonly payers: Payers | undefined;
  readonly cost: Cost;
  /** In the room, as far as this edge knows. */
  readonly people: number;
}

export interface EdgeBudgetsSettings {
  readonly clock: Clock;
  readonly socketsPerAddress: number;
  readonly log: Pick<LimitedLog, 'limited' | 'cutOff'>;
}

/** A shared budget that pays for a request, and what part of the cost it bears. */
interface Account {
  readonly scope: Scope;
  readonly budget: SharedBudget;
  readonly part: number;
}

/** What one charge draws from a shared budget. */
interface AccountDraft extends Pick<Account, 'scope' | 'budget'> {
  readonly draft: Draft;
}

/** Whose budget refuses a charge, and what there is too little of. */
interface Limit {
  readonly scope: Scope;
  readonly resource: Resource;
}

/** What rooms and tenants pay from. */
interface Books {
  readonly rooms: BudgetBook<RoomId>;
  readonly tenants: BudgetBook<TenantId>;
}

/** The budgets of persons, rooms, tenants and addresses on this edge, which their sessions share (SPEC BU12). */
export class EdgeBudgets {
  readonly frames: FrameBudgets;
  /** What people had left when a session of theirs ended. */
  readonly left: LeftPurses;
  readonly #settings: EdgeBudgetsSettings;
  readonly #persons: BudgetBook<string>;
  readonly #requests: Books;
  /** For coming in, apart from that: sessions share the one and sites the other, and whose sessions are many gets no more of both. */
  readonly #entries: Books;
  readonly #addresses: BudgetBook<string>;

  constructor(settings: EdgeBudgetsSettings) {
    const { clock, socketsPerAddress } = settings;
    this.#settings = settings;
    this.frames = new FrameBudgets(settings);
    this.left = new LeftPurses(clock, () => this.newPurse());
    this.#persons = new BudgetBook(() => new SharedBudget(BUDGETS.person, clock));
    const books = (): Books => ({
      rooms: new BudgetBook(() => new SharedBudget(BUDGETS.room, clock)),
      tenants: new BudgetBook(() => new SharedBudget(BUDGETS.tenant, clock)),
    });
    this.#requests = books();
    this.#entries = books();
    const ofAddress = times(BUDGETS.address, socketsPerAddress);
    this.#addresses = new BudgetBook(() => new SharedBudget(ofAddress, clock));
  }

  newPurse(
    budget = new Budget(BUDGETS.session, this.#settings.clock),
    frames = this.frames.newPurse(),
  ): Purse {
    return { budget, frames, patience: new TokenBucket(FLOOD_SETTINGS.patience, this.#settings.clock) };
  }

  /** What a session may spend that was held elsewhere until now. */
  carriedPurse(heldForMs: number): Purse {
    const { clock } = this.#settings;
    return this.newPurse(carriedBudget(clock, heldForMs), this.frames.carriedPurse(heldForMs));
  }

  /** Charges all of a cost or nothing. @returns who limits it, and what there is too little of */
  charge(charge: Charge): Limit | undefined {
    const { purse, cost } = charge;
    const own = purse.budget.lacking(cost);
    if (own !== undefined) return { scope: 'session', resource: own };
    const limit = chargeAll(this.#drafts(charge));
    if (limit === undefined) purse.budget.spendAll(cost);
    return limit;
  }

  /** Takes the cost in any case; a negative one is given back. */
  spend(charge: Charge): void {
    charge.purse.budget.spendAll(charge.cost);
    for (const { budget, draft } of this.#drafts(charge)) budget.spend(draft);
  }

  /**
   * Charges the room and the tenant for somebody who comes in or comes back, of whom no more is known yet than an address: so sites
   * share what there is (SPEC BU15, BU55). All of it is charged or nothing.
   */
  chargeEntry({
    address,
    payers,
    cost,
    people,
  }: Omit<Charge, 'purse'> & { readonly payers: Payers }): Verdict {
    const accounts = accountsInside(this.#entries, payers, people);
    const limit = chargeAll(draftsOn(accounts, siteOf(address), cost, people));
    if (limit === undefined) return 'allowed';
    this.limited(limit, whoOf(address, payers));
    return 'rate_limited';
  }

  /** The same for what the answer carried: the next who come in from there wait until it is paid (SPEC BU31). */
  spendEntry({ address, payers, cost, people }: Omit<Charge, 'purse'> & { readonly payers: Payers }): void {
    const accounts = accountsInside(this.#entries, payers, people);
    for (const { budget, draft } of draftsOn(accounts, siteOf(address), cost, people)) budget.spend(draft);
  }

  /** Charges an address for a request by HTTP (SPEC BU21). */
  chargeHttp(address: string): Verdict {
    const limit = chargeAll(this.#httpDrafts(address, { work: HTTP_COST, bytes: 1 }));
    if (limit === undefined) return 'allowed';
    this.limited(limit, { address });
    return 'rate_limited';
  }

  /** The same for the bytes of the answer, which is there by then. */
  spendHttp(address: string, bytes: number): void {
    for (const { budget, draft } of this.#httpDrafts(address, { bytes })) budget.spend(draft);
  }

  limited({ scope, resource }: Limit, who: LimitedWho): void {
    this.#settings.log.limited(scope, resource, who);
  }

  /** Forgets who spent nothing lately; called now and then. */
  forgetIdle(): void {
    for (const { rooms, tenants } of [this.#requests, this.#entries]) {
      rooms.forgetIdle();
      tenants.forgetIdle();
    }
    this.#persons.forgetIdle();
    this.#addresses.forgetIdle();
    this.frames.forgetIdle();
  }

  #drafts({ purse, cost, people, ...who }: Charge): AccountDraft[] {
    return draftsOn(this.#accounts({ people, ...who }), purse, cost, people);
  }

  /** Of what an address has, all its requests by HTTP together draw one part. */
  #httpDrafts(address: string, cost: Cost): AccountDraft[] {
    return draftsOn(this.#accounts({ address, payers: undefined, people: 0 }), siteOf(address), cost, 0);
  }

  #accounts({ address, payers, people }: Pick<Charge, 'address' | 'payers' | 'people'>): Account[] {
    // One IPv6 address is nobody: its network and its site pay (SPEC EN32).
    const accounts = addressKeysOf(address).map(({ key, share }): Account => {
      const budget = this.#addresses.of(key);
      return { scope: 'address', budget, part: 1 / share };
    });
    if (payers === undefined) return accounts;
    const { person } = payers;
    if (person !== undefined)
      accounts.unshift({ scope: 'person', budget: this.#persons.of(person), part: 1 });
    return [...accounts, ...accountsInside(this.#requests, payers, people)];
  }
}

function accountsInside({ rooms, tenants }: Books, { roomId, tenantId }: Payers, people: number): Account[] {
  const part = 1 / Math.max(people, SMALL_ROOM);
  const room: Account = { scope: 'room', budget: rooms.of(roomId), part };
  if (tenantId === undefined) return [room];
  return [room, { scope: 'tenant', budget: tenants.of(tenantId), part: 1 }];
}

function draftsOn(accounts: readonly Account[], drawer: Drawer, cost: Cost, people: number): AccountDraft[] {
  const start = costOfComingIn(people);
  return accounts.map(({ scope, budget, part }) => ({ scope, budget, draft: { drawer, cost, start, part } }));
}

/** Whom a limit holds up, for the log: not by name. */
const whoOf = (address: string, payers: Payers | undefined): LimitedWho =>
  payers === undefined ? { address } : { address, roomId: payers.roomId, tenantId: payers.tenantId };

/** Draws all drafts or none. */
function chargeAll(drafts: readonly AccountDraft[]): Limit | undefined {
  for (const { scope, budget, draft } of drafts) {
    const resource = budget.lacking(draft);
    if (resource !== undefined) return { scope, resource };
  }
  for (const { budget, draft } of drafts) budget.spend(draft);
  return undefined;
}

export type Verdict = 'allowed' | 'rate_limited' | 'flooding';

/** What the requests of one connection cost, charged to everybody who pays for it (SPEC BU4, BU5). */
export class Meter {
  readonly #budgets: EdgeBudgets;
  readonly #address: string;
  #purse: Purse;

  constructor(budgets: EdgeBudgets, address: string) {
    this.#budgets = budgets;
    this.#address = address;
    this.#purse = budgets.newPurse();
  }

  get purse(): Purse {
    return this.#purse;
  }

  /** From now on a session pays that was begun elsewhere. @param owed - what the connection has spent already */
  payFrom(purse: Purse, owed: Cost): void {
    this.#purse = purse;
    purse.budget.spendAll(owed);
  }

  /** Charges a cost, or none of it where one of the payers has too little left. */
  charge(cost: Cost, payers: Payers | undefined, people: number): Verdict {
    const charge = { purse: this.#purse, address: this.#address, payers, cost, people };
    const limit = this.#budgets.charge(charge);
    if (limit === undefined) return 'allowed';
    this.#budgets.limited(limit, whoOf(this.#address, payers));
    // Who is held up by what others do is not to be dropped for it, such as by another tab of one's own (SPEC BU39).
    return limit.scope !== 'session' || this.#purse.patience.take(1) ? 'rate_limited' : 'flooding';
  }

  /** Charges the room and the tenant for coming in. */
  chargeEntry(cost: Cost, payers: Payers, people: number): Verdict {
    return this.#budgets.chargeEntry({ address: this.#address, payers, cost, people });
  }

  /** The same for what coming in carried, which the answer told. */
  adjustEntry(cost: Cost, payers: Payers, people: number): void {
    this.#budgets.spendEntry({ address: this.#address, payers, cost, people });
  }

  /** Charges what turned out only afterwards, or, negative, gives back what was not needed. */
  adjust(cost: Cost, payers: Payers | undefined, people: number): void {
    this.#budgets.spend({ purse: this.#purse, address: this.#address, payers, cost, people });
  }
}

/** @throws PlenaryError `rate_limited`, `flooding` */
export function demandAllowed(verdict: Verdict): void {
  if (verdict !== 'allowed') throw new PlenaryError(verdict);
}
