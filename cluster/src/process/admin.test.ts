import { describe, expect, it } from 'vitest';
import { Drain } from '../drain/drain.ts';
import { systemClock } from '../clock.ts';
import { ADMIN_DRAIN_REPLY, answerDrainRequest } from './admin.ts';

const TOKEN = 'an admin token of thirty-two characters';

function subject() {
  const drain = new Drain<string>({
    clock: systemClock,
    members: () => [],
    isIdle: () => true,
    ask: () => undefined,
    cut: () => undefined,
    changed: () => undefined,
  });
  return {
    drain,
    ask: (method: string, body = '', authorization: string | undefined = `Bearer ${TOKEN}`) =>
      answerDrainRequest(
        { token: TOKEN, kind: 'edge', id: 'edge-1', drain },
        { method, authorization, body: () => Promise.resolve(body) },
      ),
  };
}

describe('the door of operators', () => {
  it('[DR6] is closed to who does not bring the token', async () => {
    const { ask, drain } = subject();
    for (const wrong of ['', 'Bearer', `Bearer ${TOKEN}x`, TOKEN, `Basic ${TOKEN}`]) {
      expect((await ask('POST', '{"deadlineMs":1}', wrong)).status).toBe(401);
    }
    expect(
      (
        await answerDrainRequest(
          { token: TOKEN, kind: 'edge', id: 'edge-1', drain },
          {
            method: 'GET',
            authorization: undefined,
            body: () => Promise.resolve(''),
          },
        )
      ).status,
    ).toBe(401);
    expect(drain.isOn).toBe(false);
  });

  it('[DR6] drains, tells how far it is, and cancels', async () => {
    const { ask, drain } = subject();
    expect(await ask('GET')).toMatchObject({ status: 200, body: { id: 'edge-1', state: 'serving' } });
    const begun = await ask('POST', '{"deadlineMs":60000,"id":"edge-1"}');
    expect(ADMIN_DRAIN_REPLY.parse(begun.body)).toMatchObject({ kind: 'edge', state: 'drained', left: 0 });
    expect(drain.isOn).toBe(true);
    expect(await ask('DELETE')).toMatchObject({ status: 200, body: { state: 'serving' } });
    expect(drain.isOn).toBe(false);
  });

  it('[DR6] refuses what is malformed, meant for another process, or unknown', async () => {
    const { ask, drain } = subject();
    for (const body of ['', '[]', '{"deadlineMs":-1}', '{"deadlineMs":1e12}']) {
      expect((await ask('POST', body)).status).toBe(400);
    }
    expect((await ask('POST', '{"deadlineMs":1,"id":"edge-2"}')).status).toBe(409);
    expect((await ask('PUT')).status).toBe(405);
    expect(drain.isOn).toBe(false);
  });
});
