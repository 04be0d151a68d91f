import { PlenaryError } from '../errors.ts';

/** In milliseconds. */
const PATIENCE_MS = 60_000;

/**
 * Errors of a store that was not heard in time, or of a connection that was given up for that and is made anew. A store that is away, or
 * that refuses, gives others.
 */
const UNHEARD = /timed out|no answer within|max retries per request|Connection is closed|does not answer/;
/** Before the next attempt, in milliseconds: a connection is made anew meanwhile. */
const PAUSE_MS = 50;

function isUnheard(fault: unknown): boolean {
  return (
    fault instanceof PlenaryError &&
    fault.code === 'store_unavailable' &&
    fault.cause instanceof Error &&
    UNHEARD.test(fault.cause.message)
  );
}

/**
 * The same port, whose methods are called again where no answer came in time, as their callers do: a machine that stands still for as
 * long as a store is waited for fails no test of what the store does.
 */
export function patient<Port extends object>(port: Port): Port {
  return new Proxy(port, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const call = (parameters: unknown[]): unknown => Reflect.apply(member, target, parameters);
      return (...parameters: unknown[]): unknown => {
        const answer = call(parameters);
        return answer instanceof Promise ? again(answer, () => call(parameters)) : answer;
      };
    },
  });
}

async function again(first: unknown, repeat: () => unknown): Promise<unknown> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (let answer = first; ; answer = repeat()) {
    try {
      return await answer;
    } catch (fault) {
      if (!isUnheard(fault) || performance.now() > deadlineMs) throw fault;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
