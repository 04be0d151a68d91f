import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Replaceable } from './replaceable.ts';
import type { CloseReason } from './transition.ts';

/** An item that is opened, may carry, and is closed once. */
interface Thing {
  readonly number: number;
  /** Whether the item ended without being closed. */
  hasEnded: boolean;
  closedFor: CloseReason | undefined;
}

/** A user that records everything it opens, and fails if a rule breaks. */
class Account {
  readonly things: Thing[] = [];
  /** Openings without an answer. */
  readonly unanswered: number[] = [];
  readonly attempts: number[] = [];
  current: Thing | undefined;
  missing = 0;
  #watched: { readonly attempt: number; readonly next: Thing } | undefined;
  /** Whether the last event closes everything. */
  isClosing = false;
  readonly place = new Replaceable<Thing>({
    open: (attempt, beside) => {
      expect(beside).toBe(this.current?.hasEnded === true ? undefined : this.current);
      this.attempts.push(attempt);
      this.unanswered.push(attempt);
    },
    watch: (attempt, next, current) => {
      expect(current).toBe(this.current);
      this.#watched = { attempt, next };
    },
    promote: (item, replaces) => {
      expect(replaces).toBe(this.current);
      // While the new item takes its place, the old one is still open.
      expect(replaces?.closedFor).toBeUndefined();
      expect(item.closedFor).toBeUndefined();
      this.current = item;
    },
    close: (item, reason) => {
      expect(item.closedFor).toBeUndefined();
      if (reason === 'replaced') expect(this.current).not.toBe(item);
      if (reason === 'lost') expect(item.hasEnded).toBe(true);
      if (reason === 'abandoned') expect(this.current).not.toBe(item);
      if (reason === 'closed') expect(this.isClosing).toBe(true);
      item.closedFor = reason;
      if (this.current === item) this.current = undefined;
    },
    missing: () => {
      expect(this.current).toBeUndefined();
      this.missing += 1;
    },
  });

  make(): Thing {
    const thing: Thing = { number: this.things.length, hasEnded: false, closedFor: undefined };
    this.things.push(thing);
    return thing;
  }

  answer(choice: number, opens: boolean): void {
    const [attempt] = this.unanswered.splice(choice % Math.max(this.unanswered.length, 1), 1);
    if (attempt === undefined) return;
    this.place.dispatch(opens ? { type: 'opened', attempt, item: this.make() } : { type: 'failed', attempt });
  }

  /** Reports on the item that was watched last, however late. */
  watched(type: 'carries' | 'failed'): void {
    if (this.#watched !== undefined) this.place.dispatch({ type, attempt: this.#watched.attempt });
  }

  lose(): void {
    if (this.current !== undefined && this.place.current === this.current) this.current.hasEnded = true;
    this.place.dispatch({ type: 'lost' });
  }

  close(): void {
    this.isClosing = true;
    this.place.dispatch({ type: 'closed' });
    this.isClosing = false;
  }

  check(): void {
    const { state } = this.place;
    const open = this.things.filter(({ closedFor }) => closedFor === undefined);
    const held = [state].flatMap((one) => [
      ...('current' in one ? [one.current] : []),
      ...('lost' in one ? [one.lost] : []),
      ...('next' in one ? [one.next] : []),
    ]);
    // There are never two current items, and every open item is known.
    expect(new Set(held)).toEqual(new Set(open));
    expect(this.current).toBe('lost' in state ? state.lost : this.place.current);
    expect(this.attempts).toEqual([...new Set(this.attempts)].toSorted((one, other) => one - other));
  }
}

const COMMANDS: readonly ((account: Account, choice: number) => void)[] = [
  (account) => account.place.dispatch({ type: 'begin' }),
  (account) => account.place.dispatch({ type: 'restart' }),
  (account, choice) => account.answer(choice, true),
  (account, choice) => account.answer(choice, true),
  (account, choice) => account.answer(choice, false),
  (account) => account.watched('carries'),
  (account) => account.watched('failed'),
  (account) => account.place.dispatch({ type: 'given', item: account.make() }),
  (account) => account.lose(),
  (account) => account.close(),
];

describe('make before break, over any course of events', () => {
  it('[MB2] [MB5] [MB6] has at most one current item, closes none that carries before another one does, and each once', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(COMMANDS.length - 1), fc.nat(5)), { maxLength: 60 }), (course) => {
        const account = new Account();
        for (const [command, choice] of course) {
          COMMANDS[command]?.(account, choice);
          account.check();
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('[MB3] leaves nothing open after it was closed and every opening was answered', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(COMMANDS.length - 1), fc.nat(5)), { maxLength: 60 }), (course) => {
        const account = new Account();
        for (const [command, choice] of course) COMMANDS[command]?.(account, choice);
        account.close();
        while (account.unanswered.length > 0) account.answer(0, true);
        expect(account.things.filter(({ closedFor }) => closedFor === undefined)).toEqual([]);
        expect(account.place.state.phase).toBe('empty');
      }),
    );
  });
});

describe('a place', () => {
  it('[MB4] finishes the effects of one event before it handles the next', () => {
    const course: string[] = [];
    const place: Replaceable<string> = new Replaceable<string>({
      open: (attempt) => place.dispatch({ type: 'opened', attempt, item: `item ${attempt}` }),
      watch: (attempt) => place.dispatch({ type: 'carries', attempt }),
      promote: (item) => {
        course.push(`promote ${item}`);
        if (item === 'item 1') place.dispatch({ type: 'begin' });
      },
      close: (item, reason) => course.push(`close ${item}: ${reason}`),
      missing: () => course.push('missing'),
    });
    place.dispatch({ type: 'begin' });
    expect(course).toEqual(['promote item 1', 'promote item 2', 'close item 1: replaced']);
    expect(place.awaits(2)).toBe(false);
    expect([place.current, place.newest]).toEqual(['item 2', 'item 2']);
  });
});
