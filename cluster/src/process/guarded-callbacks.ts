/**
 * Where something from outside, or time itself, enters a process: what is thrown there costs that one message, tick or
 * call, is counted and logged, and ends nothing (SPEC EN4). A lint rule (`deploy/local/lint/total-entries.js`) holds
 * every listener, timer and promise that nobody awaits to it.
 */

/** What came in: a closed set, since it is a label of metrics. */
export const ENTRY_KINDS = [
  'background',
  'child_process',
  'control_link',
  'http',
  'mediasoup',
  'pubsub',
  'registry',
  'signal',
  'socket',
  'store',
  'timer',
] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

export type EntryFaultSink = (kind: EntryKind, fault: unknown) => void;

/** Where nobody watches, as in a unit test, a fault is as loud as if nothing had caught it. */
const unwatched: EntryFaultSink = (_kind, fault) => {
  queueMicrotask(() => {
    throw fault;
  });
};
let sink = unwatched;

/** Tells the process' one owner of each fault at an entry. @returns ends that */
export function watchEntries(onFault: EntryFaultSink): () => void {
  sink = onFault;
  return () => {
    if (sink === onFault) sink = unwatched;
  };
}

/** Makes a listener that never throws, of a handler that may throw or reject. */
export function guardCallback<Args extends readonly unknown[]>(
  kind: EntryKind,
  handler: (...args: Args) => unknown,
): (...args: Args) => void {
  return (...args) => {
    enter(kind, () => handler(...args));
  };
}

/** The same for what has to answer at once: `otherwise` is the answer where the handler throws. */
export function answering<Args extends readonly unknown[], Answer>(
  kind: EntryKind,
  otherwise: Answer,
  handler: (...args: Args) => Answer,
): (...args: Args) => Answer {
  return (...args) => {
    try {
      return handler(...args);
    } catch (fault) {
      tellEntryFault(kind, fault);
      return otherwise;
    }
  };
}

/** Starts what nobody waits for. It may reject; nobody hears of that but the log and the metric. */
export function inBackground(work: () => unknown): void {
  enter('background', work);
}

/** `setInterval`, of which each tick stands alone. */
export function every(intervalMs: number, action: () => unknown): NodeJS.Timeout {
  return setInterval(guardCallback('timer', action), intervalMs);
}

/** `setTimeout` whose action may throw or reject. */
export function after(delayMs: number, action: () => unknown): NodeJS.Timeout {
  return setTimeout(guardCallback('timer', action), delayMs);
}

/** `setImmediate` whose action may throw or reject. */
export function afterTurn(action: () => unknown): NodeJS.Immediate {
  return setImmediate(guardCallback('timer', action));
}

function enter(kind: EntryKind, work: () => unknown): void {
  try {
    const result = work();
    if (isThenable(result)) result.then(undefined, (fault: unknown) => tellEntryFault(kind, fault));
  } catch (fault) {
    tellEntryFault(kind, fault);
  }
}

/** For an entry that catches by itself, since somebody is to be answered. */
export function tellEntryFault(kind: EntryKind, fault: unknown): void {
  try {
    sink(kind, fault);
  } catch (second) {
    // Even a log that cannot be written ends nobody's meeting.
    process.stderr.write(`error at an entry point (${kind}) could not be logged: ${String(second)}\n`);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
