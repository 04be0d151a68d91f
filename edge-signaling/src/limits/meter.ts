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
import type { FrameBudget } from './frame-budgets.ts';
import { RemainingBudgets } from './remaining-budgets.ts';
import type { LimitedLog, LimitedWho } from './limited-log.ts';
import { BudgetBook, SharedBudget } from './shared-budget.ts';
import type { Draft, Drawer } from './shared-budget.ts';

/** The budget of one session, which moves with the session from edge to edge. */
export interface SessionBudget {
  readonly resources: Budget;
  /** Refusals for excessive speed before the edge closes the connection (SPEC RL2). */
  readonly patience: TokenBucket;
  readonly frames: FrameBudget;
}

/** The owners that pay beside a session: its room, its tenant, and its person. */
export interface Payers {
  readonly roomId: RoomId;
  readonly tenantId: TenantId | undefined;
  /** Absent before a valid token. */
  readonly person?: string;
}

/** A cost, and its payers. */
export interface Charge {
  readonly sessionBudget: SessionBudget;
  readonly address: string;
  /** Absent before there is a session. */
  readonly payers: Payers | undefined;
  readonly cost: Cost;
  /** The number of people in the room, as far as this edge knows. */
  readonly people: number;
}

export interface EdgeBudgetsSettings {
  readonly clock: Clock;
  readonly socketsPerAddress: number;
  readonly log: Pick<LimitedLog, 'limited' | 'cutOff'>;
}

/** A shared budget that pays for a request, and the part of the cost that it pays. */
interface Account {
  readonly scope: Scope;
  readonly budget: SharedBudget;
  readonly part: number;
}

/** One draw of a charge from a shared budget. */
interface AccountDraft extends Pick<Account, 'scope' | 'budget'> {
  readonly draft: Draft;
}

/** The budget that refuses a charge, and the resource that is too low. */
interface Limit {
  readonly scope: Scope;
  readonly resource: Resource;
}

/** The budgets of rooms and tenants. */
interface Books {
  readonly rooms: BudgetBook<RoomId>;
  readonly tenants: BudgetBook<TenantId>;
}

/** The budgets of persons, rooms, tenants and addresses on this edge, which their sessions share (SPEC BU12). */
export class EdgeBudgets {
  readonly frames: FrameBudgets;
  /** The remaining budgets of persons whose sessions ended. */
  readonly remaining: RemainingBudgets;
  readonly #settings: EdgeBudgetsSettings;
  readonly #persons: BudgetBook<string>;
  readonly #requests: Books;
  /** Separate budgets for joins and resumes: sites share these, and sessions share those for requests. */
  readonly #entries: Books;
  readonly #addresses: BudgetBook<string>;

  constructor(settings: EdgeBudgetsSettings) {
    const { clock, socketsPerAddress } = settings;
    this.#settings = settings;
    this.frames = new FrameBudgets(settings);
    this.remaining = new RemainingBudgets(clock, () => this.newSessionBudget());
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

  newSessionBudget(
    budget = new Budget(BUDGETS.session, this.#settings.clock),
    frames = this.frames.newSessionBudget(),
  ): SessionBudget {
    return {
      resources: budget,
      frames,
      patience: new TokenBucket(FLOOD_SETTINGS.patience, this.#settings.clock),
    };
  }

  /** The budget of a session that another edge held until now. */
  carriedSessionBudget(heldForMs: number): SessionBudget {
    const { clock } = this.#settings;
    return this.newSessionBudget(
      carriedBudget(clock, heldForMs),
      this.frames.carriedSessionBudget(heldForMs),
    );
  }

  /** Charges all of a cost or nothing. @returns the budget and resource that refuse it */
  charge(charge: Charge): Limit | undefined {
    const { sessionBudget, cost } = charge;
    const own = sessionBudget.resources.lacking(cost);
    if (own !== undefined) return { scope: 'session', resource: own };
    const limit = chargeAll(this.#drafts(charge));
    if (limit === undefined) sessionBudget.resources.spendAll(cost);
    return limit;
  }

  /** Takes the cost even where it makes levels negative; a negative cost is given back. */
  spend(charge: Charge): void {
    charge.sessionBudget.resources.spendAll(charge.cost);
    for (const { budget, draft } of this.#drafts(charge)) budget.spend(draft);
  }

  /**
   * Charges the room and the tenant for a join or a resume. The edge knows only an address by then, so sites share these
   * budgets (SPEC BU15, BU55). Charges all of the cost or nothing.
   */
  chargeEntry({
    address,
    payers,
    cost,
    people,
  }: Omit<Charge, 'sessionBudget'> & { readonly payers: Payers }): Verdict {
    const accounts = accountsInside(this.#entries, payers, people);
    const limit = chargeAll(draftsOn(accounts, siteOf(address), cost, people));
    if (limit === undefined) return 'allowed';
    this.limited(limit, whoOf(address, payers));
    return 'rate_limited';
  }

  /** Charges the room and the tenant for the bytes of the answer: the next entries from that site wait until it is paid (SPEC BU31). */
  spendEntry({
    address,
    payers,
    cost,
    people,
  }: Omit<Charge, 'sessionBudget'> & { readonly payers: Payers }): void {
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

  /** Charges an address for the bytes of an HTTP answer. */
  spendHttp(address: string, bytes: number): void {
    for (const { budget, draft } of this.#httpDrafts(address, { bytes })) budget.spend(draft);
  }

  limited({ scope, resource }: Limit, who: LimitedWho): void {
    this.#settings.log.limited(scope, resource, who);
  }

  /** Forgets owners that spent nothing lately; called periodically. */
  forgetIdle(): void {
    for (const { rooms, tenants } of [this.#requests, this.#entries]) {
      rooms.forgetIdle();
      tenants.forgetIdle();
    }
    this.#persons.forgetIdle();
    this.#addresses.forgetIdle();
    this.frames.forgetIdle();
  }

  #drafts({ sessionBudget, cost, people, ...who }: Charge): AccountDraft[] {
    return draftsOn(this.#accounts({ people, ...who }), sessionBudget, cost, people);
  }

  /** All HTTP requests of a site together are one drawer of an address's budget. */
  #httpDrafts(address: string, cost: Cost): AccountDraft[] {
    return draftsOn(this.#accounts({ address, payers: undefined, people: 0 }), siteOf(address), cost, 0);
  }

  #accounts({ address, payers, people }: Pick<Charge, 'address' | 'payers' | 'people'>): Account[] {
    // An IPv6 address identifies nobody: its network and its site pay (SPEC EN32).
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

/** The refused client for the log, without the person's name. */
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

/** Charges the requests of one connection to all of its payers (SPEC BU4, BU5). */
export class Meter {
  readonly #budgets: EdgeBudgets;
  readonly #address: string;
  #sessionBudget: SessionBudget;

  constructor(budgets: EdgeBudgets, address: string) {
    this.#budgets = budgets;
    this.#address = address;
    this.#sessionBudget = budgets.newSessionBudget();
  }

  get sessionBudget(): SessionBudget {
    return this.#sessionBudget;
  }

  /** From now on a session pays that was begun elsewhere. @param owed - what the connection has spent already */
  payFrom(budget: SessionBudget, owed: Cost): void {
    this.#sessionBudget = budget;
    budget.resources.spendAll(owed);
  }

  /** Charges a cost, or none of it where one of the payers has too little left. */
  charge(cost: Cost, payers: Payers | undefined, people: number): Verdict {
    const charge = { sessionBudget: this.#sessionBudget, address: this.#address, payers, cost, people };
    const limit = this.#budgets.charge(charge);
    if (limit === undefined) return 'allowed';
    this.#budgets.limited(limit, whoOf(this.#address, payers));
    // A client that is refused because of others, such as another tab of the same person, is not disconnected for it (SPEC BU39).
    return limit.scope !== 'session' || this.#sessionBudget.patience.take(1) ? 'rate_limited' : 'flooding';
  }

  /** Charges the room and the tenant for a join or a resume. */
  chargeEntry(cost: Cost, payers: Payers, people: number): Verdict {
    return this.#budgets.chargeEntry({ address: this.#address, payers, cost, people });
  }

  /** Charges the room and the tenant for the bytes of its answer. */
  adjustEntry(cost: Cost, payers: Payers, people: number): void {
    this.#budgets.spendEntry({ address: this.#address, payers, cost, people });
  }

  /** Charges costs that are known only afterwards; a negative cost is a refund. */
  adjust(cost: Cost, payers: Payers | undefined, people: number): void {
    this.#budgets.spend({ sessionBudget: this.#sessionBudget, address: this.#address, payers, cost, people });
  }
}

/** @throws PlenaryError `rate_limited`, `flooding` */
export function demandAllowed(verdict: Verdict): void {
  if (verdict !== 'allowed') throw new PlenaryError(verdict);
}
