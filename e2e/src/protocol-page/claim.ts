import type { Fields } from './page-client.ts';
import type { Strangers } from './stranger.ts';

/** One sentence of the page. */
export interface Claim {
  readonly sentence: string;
  /** Tries the claim. */
  readonly attempt: (strangers: Strangers) => Promise<unknown>;
  /** The expected result. */
  readonly expected: unknown;
}

/** How an edge answers a join with these changes: `ok`, or an error code. */
export const joining =
  (changes: Fields, claims: Fields = {}) =>
  async (strangers: Strangers): Promise<string> =>
    (await strangers.connect()).codeOf('join', await strangers.joinPayload(changes, claims));

/** Makes several attempts, each on a connection of its own, and collects their results. */
export const each =
  <Of>(tries: readonly Of[], attempt: (one: Of, strangers: Strangers) => Promise<unknown>) =>
  async (strangers: Strangers): Promise<unknown[]> => {
    const answers: unknown[] = [];
    for (const one of tries) answers.push(await attempt(one, strangers));
    return answers;
  };

/** How an edge answers a request of a person in a room. */
export const asking =
  (name: string, payload: unknown) =>
  async (strangers: Strangers): Promise<string> =>
    (await strangers.join()).client.codeOf(name, payload);

/** The answers to several requests of one person, one after the other. */
export const askingEach =
  (name: string, payloads: readonly unknown[]) =>
  async (strangers: Strangers): Promise<string[]> => {
    const { client } = await strangers.join();
    const answers: string[] = [];
    for (const payload of payloads) answers.push(await client.codeOf(name, payload));
    return answers;
  };
