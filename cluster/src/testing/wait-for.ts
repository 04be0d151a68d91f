import { PlenaryError } from '../errors.ts';

/**
 * Waits until a question has an answer. A store that does not answer the question is asked again: on a machine that stands still for a
 * moment that is nobody's fault.
 * @throws Error that says what was waited for
 */
export async function waitFor<Answer>(
  what: string,
  question: () => Answer | undefined | false | Promise<Answer | undefined | false>,
  withinMs = 100_000,
): Promise<Answer> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const answer = await unlessStoreIsAway(question);
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadlineMs) throw new Error(`Waited ${withinMs} ms for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function unlessStoreIsAway<Answer>(
  question: () => Answer | undefined | false | Promise<Answer | undefined | false>,
): Promise<Answer | undefined | false> {
  try {
    return await question();
  } catch (fault) {
    if (fault instanceof PlenaryError && fault.code === 'store_unavailable') return undefined;
    throw fault;
  }
}

/** Waits until a process has logged a text, which comes another way than its answers. @returns all that it logged */
export async function waitForLog(name: string, output: () => string, text: string): Promise<string> {
  return waitFor(`${name} to log ${JSON.stringify(text)}`, () => output().includes(text) && output());
}
