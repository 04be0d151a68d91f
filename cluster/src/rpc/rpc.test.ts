import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { PlenaryError } from '../errors.ts';
import { call } from './call.ts';
import type { CallSocket } from './call.ts';
import { route } from './route.ts';

const ADD = {
  summary: 'Adds.',
  payload: z.object({ left: z.int(), right: z.int() }),
  reply: z.object({ sum: z.int() }),
};

function answering(answer: (payload: unknown) => Promise<unknown>, connected = true): CallSocket {
  return { connected, timeout: () => ({ emitWithAck: (_name, payload) => answer(payload) }) };
}

describe('route and call', () => {
  const faults: unknown[] = [];
  const options = { onFault: (fault: unknown) => faults.push(fault) };
  const add = route(ADD, ({ left, right }) => ({ sum: left + right }), options);
  const addOver = (socket: CallSocket) => call(socket, 'add', ADD, { left: 1, right: 2 }, 100);

  it('[ER2] a request goes through with its reply parsed', async () => {
    expect(await addOver(answering((payload) => add(payload, null)))).toEqual({ sum: 3 });
  });

  it('[ER2] a malformed payload is answered with the path of the fault, and the handler never sees it', async () => {
    const answer = await add({ left: 1, right: 'two' }, null);
    expect(answer).toMatchObject({ ok: false, error: { code: 'malformed_message', retryable: false } });
    expect(JSON.stringify(answer)).toContain('right');
  });

  it('[ER3] an error of the table crosses the wire with its code; anything else becomes internal and is reported', async () => {
    const refuse = route(ADD, () => Promise.reject(new PlenaryError('room_full')), options);
    await expect(addOver(answering((payload) => refuse(payload, null)))).rejects.toMatchObject({
      code: 'room_full',
      retryable: true,
    });
    const broken = route(ADD, () => Promise.reject(new TypeError('secret detail')), options);
    const answer = await broken({ left: 1, right: 2 }, null);
    expect(answer).toMatchObject({ ok: false, error: { code: 'internal' } });
    expect(JSON.stringify(answer)).not.toContain('secret detail');
    expect(faults).toEqual([expect.any(TypeError)]);
  });

  it('[CL3] a link that is down, silent, or gives invalid answers leads to an error of the table', async () => {
    await expect(addOver(answering(() => Promise.resolve(null), false))).rejects.toMatchObject({
      code: 'media_unavailable',
    });
    await expect(addOver(answering(() => Promise.reject(new Error('timeout'))))).rejects.toMatchObject({
      code: 'timed_out',
    });
    await expect(addOver(answering(() => Promise.resolve('nonsense')))).rejects.toMatchObject({
      code: 'internal',
    });
    await expect(
      addOver(answering(() => Promise.resolve({ ok: true, data: { sum: 'three' } }))),
    ).rejects.toMatchObject({ code: 'internal' });
  });
});
