import { setTimeout as sleep } from 'node:timers/promises';
import { SHOWN_LINES } from './child.ts';
import type { Child } from './child.ts';
import { LocalClusterError } from './errors.ts';
import { plainLine } from './logs.ts';

const POLL_MS = 50;
const REQUEST_TIMEOUT_MS = 2_000;

/**
 * Waits until a process answers 200 on `/ready`.
 * @param deadline on the clock of `performance.now()`
 * @throws LocalClusterError when the process ends or is late, with what it said last
 */
export function waitUntilReady(child: Child, url: string, deadline: number): Promise<void> {
  return waitUntilGood(child, `${url}/ready`, deadline);
}

/**
 * Waits until a process answers 200 on `/health`: it listens for operators, whether or not it can work.
 * @param deadline on the clock of `performance.now()`
 * @throws LocalClusterError when the process ends or is late, with what it said last
 */
export function waitUntilHealthy(child: Child, url: string, deadline: number): Promise<void> {
  return waitUntilGood(child, `${url}/health`, deadline);
}

async function waitUntilGood(child: Child, url: string, deadline: number): Promise<void> {
  let last = 'it does not listen yet';
  while (performance.now() < deadline) {
    if (child.pid === null) {
      throw new LocalClusterError(
        `${child.spec.id} did not start: it ${await child.ended}.\n${lastWords(child)}`,
      );
    }
    const answer = await ask(url);
    if (answer === null) return;
    last = answer;
    await sleep(POLL_MS);
  }
  throw new LocalClusterError(
    `${child.spec.id} is not ready in time. Asked at ${url}: ${last}.\n${lastWords(child)}`,
  );
}

/** @returns null when the answer is 200, else what was answered */
async function ask(url: string): Promise<string | null> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const body = (await response.text()).slice(0, 300);
    return response.status === 200 ? null : `${response.status} ${body}`;
  } catch (error) {
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return `no answer (${cause})`;
  }
}

/** The last lines of a process, indented, for a message. */
export function lastWords(child: Child): string {
  const lines = child.logs().slice(-SHOWN_LINES);
  if (lines.length === 0) return 'It printed nothing.';
  return ['Its last lines:', ...lines.map((line) => `    ${plainLine(line)}`)].join('\n');
}
