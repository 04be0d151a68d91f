import { describe, expect, it } from 'vitest';
import {
  transition,
  type ReplaceableEffect,
  type ReplaceableEvent,
  type ReplaceableState,
} from './transition.ts';

const ATTEMPT = 7;
const LATE = ATTEMPT - 1;

const STATES = {
  empty: { phase: 'empty', attempt: ATTEMPT },
  opening: { phase: 'opening', attempt: ATTEMPT },
  steady: { phase: 'steady', attempt: ATTEMPT, current: 'old' },
  replacing: { phase: 'replacing', attempt: ATTEMPT, current: 'old' },
  recovering: { phase: 'recovering', attempt: ATTEMPT, lost: 'old' },
  overlapping: { phase: 'overlapping', attempt: ATTEMPT, current: 'old', next: 'new' },
} as const satisfies Record<ReplaceableState<string>['phase'], ReplaceableState<string>>;

const EVENTS = {
  begin: { type: 'begin' },
  restart: { type: 'restart' },
  opened: { type: 'opened', attempt: ATTEMPT, item: 'answer' },
  'opened, late': { type: 'opened', attempt: LATE, item: 'answer' },
  failed: { type: 'failed', attempt: ATTEMPT },
  'failed, late': { type: 'failed', attempt: LATE },
  carries: { type: 'carries', attempt: ATTEMPT },
  'carries, late': { type: 'carries', attempt: LATE },
  given: { type: 'given', item: 'gift' },
  lost: { type: 'lost' },
  closed: { type: 'closed' },
} as const satisfies Record<string, ReplaceableEvent<string>>;

type StateName = keyof typeof STATES;
type EventName = keyof typeof EVENTS;

/** The new state and the effects: `old` and `new` are open, `answer` is the requested item, `gift` an unrequested one. */
type Outcome = readonly [state: string, ...effects: string[]];

const SAME = 'as before';
const UNCHANGED: Outcome = [SAME];

const TABLE: Readonly<Record<StateName, Readonly<Record<EventName, Outcome>>>> = {
  empty: {
    begin: ['opening 8', 'open 8'],
    restart: ['opening 8', 'open 8'],
    opened: [SAME, 'close answer: abandoned'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: UNCHANGED,
    'failed, late': UNCHANGED,
    carries: UNCHANGED,
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift'],
    lost: UNCHANGED,
    closed: UNCHANGED,
  },
  opening: {
    begin: UNCHANGED,
    restart: ['opening 8', 'open 8'],
    opened: ['steady answer', 'promote answer'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: ['empty', 'missing'],
    'failed, late': UNCHANGED,
    carries: UNCHANGED,
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift'],
    lost: UNCHANGED,
    closed: ['empty'],
  },
  steady: {
    begin: ['replacing old 8', 'open 8 beside old'],
    restart: ['replacing old 8', 'open 8 beside old'],
    opened: [SAME, 'close answer: abandoned'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: UNCHANGED,
    'failed, late': UNCHANGED,
    carries: UNCHANGED,
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift for old', 'close old: replaced'],
    lost: ['empty', 'close old: lost', 'missing'],
    closed: ['empty', 'close old: closed'],
  },
  replacing: {
    begin: UNCHANGED,
    restart: ['replacing old 8', 'open 8 beside old'],
    opened: ['overlapping old answer', 'watch answer beside old'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: ['steady old'],
    'failed, late': UNCHANGED,
    carries: UNCHANGED,
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift for old', 'close old: replaced'],
    lost: ['recovering old'],
    closed: ['empty', 'close old: closed'],
  },
  recovering: {
    begin: UNCHANGED,
    restart: ['recovering old 8', 'open 8'],
    opened: ['steady answer', 'promote answer for old', 'close old: lost'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: ['empty', 'close old: lost', 'missing'],
    'failed, late': UNCHANGED,
    carries: UNCHANGED,
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift for old', 'close old: lost'],
    lost: UNCHANGED,
    closed: ['empty', 'close old: lost'],
  },
  overlapping: {
    begin: UNCHANGED,
    restart: ['replacing old 8', 'close new: abandoned', 'open 8 beside old'],
    opened: [SAME, 'close answer: abandoned'],
    'opened, late': [SAME, 'close answer: abandoned'],
    failed: ['steady old', 'close new: abandoned'],
    'failed, late': UNCHANGED,
    carries: ['steady new', 'promote new for old', 'close old: replaced'],
    'carries, late': UNCHANGED,
    given: ['steady gift', 'promote gift for old', 'close old: replaced', 'close new: abandoned'],
    lost: ['steady new', 'promote new for old', 'close old: lost'],
    closed: ['empty', 'close old: closed', 'close new: abandoned'],
  },
};

const names = <Name extends string>(record: Record<Name, unknown>): Name[] => Object.keys(record) as Name[];

function write(state: ReplaceableState<string>): string {
  const items = [
    'current' in state ? state.current : undefined,
    'lost' in state ? state.lost : undefined,
    'next' in state ? state.next : undefined,
    state.attempt === ATTEMPT ? undefined : String(state.attempt),
  ];
  return [state.phase, ...items.filter((item) => item !== undefined)].join(' ');
}

function writeEffect(effect: ReplaceableEffect<string>): string {
  switch (effect.type) {
    case 'open':
      return effect.beside === undefined
        ? `open ${effect.attempt}`
        : `open ${effect.attempt} beside ${effect.beside}`;
    case 'watch':
      return `watch ${effect.next} beside ${effect.current}`;
    case 'promote':
      return effect.replaces === undefined
        ? `promote ${effect.item}`
        : `promote ${effect.item} for ${effect.replaces}`;
    case 'close':
      return `close ${effect.item}: ${effect.reason}`;
    case 'missing':
      return 'missing';
  }
}

describe('make before break, as a table', () => {
  it.each(names(STATES).flatMap((state) => names(EVENTS).map((event) => ({ state, event }))))(
    '[MB1] [MB5] [MB7] $state, $event',
    ({ state, event }) => {
      const before = STATES[state];
      const after = transition<string>(before, EVENTS[event]);
      const outcome = [after.state === before ? SAME : write(after.state), ...after.effects.map(writeEffect)];
      const [left, ...effects] = TABLE[state][event];
      // Closing an empty place leaves an equal state.
      expect([outcome[0] === state ? SAME : outcome[0], ...outcome.slice(1)]).toEqual([
        left === state ? SAME : left,
        ...effects,
      ]);
    },
  );
});
