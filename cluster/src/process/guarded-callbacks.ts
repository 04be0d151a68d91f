/**
 * Guards the callbacks by which outside events and timers enter a process. An error thrown there costs one message,
 * tick or call. It is counted and logged, and does not end the process (SPEC EN4). A lint rule
 * (`deploy/local/lint/total-entries.js`) enforces this for every listener, timer and unawaited promise.
 */

/** The sources of callbacks: a closed set, since it is a label of metrics. */
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

/** Without a watcher, as in a unit test, an error is rethrown as if nothing had caught it. */
const unwatched: EntryFaultSink = (_kind, fault) => {
  queueMicrotask(() => {
    throw fault;
  });
};
let sink = unwatched;

/** Registers the process' one receiver of errors in guarded callbacks. @returns a function that ends it */
export function watchEntries(onFault: EntryFaultSink): () => void {
  sink = onFault;
  return () => {
    if (sink === onFault) sink = unwatched;
  };
}

/** Makes a listener that never throws from a handler that may throw or reject. */
export function guardCallback<Args extends readonly unknown[]>(
  kind: EntryKind,
  handler: (...args: Args) => unknown,
): (...args: Args) => void {
  return (...args) => {
    enter(kind, () => handler(...args));
  };
}

/** Like {@link guardCallback}, for a handler that must answer at once: `otherwise` is the answer if it throws. */
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

/** Starts work that nobody awaits. If it rejects, only the log and the metric show it. */
export function inBackground(work: () => unknown): void {
  enter('background', work);
}

/** `setInterval` in which a failing tick does not affect later ones. */
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

/** Reports an error of a callback that catches it itself, because it must answer somebody. */
export function tellEntryFault(kind: EntryKind, fault: unknown): void {
  try {
    sink(kind, fault);
  } catch (second) {
    // An error that cannot be logged must not end the process either.
    process.stderr.write(`error at an entry point (${kind}) could not be logged: ${String(second)}\n`);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
