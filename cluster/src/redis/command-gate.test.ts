import { describe, expect, it } from 'vitest';
import { CommandGate, MAX_UNANSWERED } from './command-gate.ts';

describe('CommandGate', () => {
  it('[RC24] lets a bounded number of commands wait for an answer, until some are answered', async () => {
    const gate = new CommandGate();
    const answers: (() => void)[] = [];
    const ask = async (): Promise<void> =>
      gate.pass(
        () =>
          new Promise((resolve) => {
            answers.push(resolve);
          }),
      );
    const waiting = Array.from({ length: MAX_UNANSWERED }, ask);
    await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(answers).toHaveLength(MAX_UNANSWERED);
    answers.forEach((answer) => answer());
    await Promise.all(waiting);
    expect(gate.unanswered).toBe(0);
    expect(await gate.pass(async () => Promise.resolve('again'))).toBe('again');
    await expect(gate.pass(async () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(gate.unanswered).toBe(0);
  });

  it('[RC23] sends nothing to a store that is known not to answer', async () => {
    let isServed = false;
    const gate = new CommandGate(() => isServed);
    await expect(gate.pass(async () => Promise.resolve('sent'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    isServed = true;
    expect(await gate.pass(async () => Promise.resolve('sent'))).toBe('sent');
  });
});
