import { describe, expect, it } from 'vitest';
import { LimitedLog } from '../limits/limited-log.ts';
import { EdgeBudgets } from '../limits/meter.ts';
import { EdgeParts, RecordingSocket } from '../testing/edge-parts.ts';
import { ClientConnection } from './client-connection.ts';

describe('a connection', () => {
  it('[BU29] refuses a second sync while the first one is under way, and takes one after it', async () => {
    const { clock, localRooms, metrics } = new EdgeParts();
    const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
    const budgets = new EdgeBudgets({ clock, socketsPerAddress: 1, log });
    const connection = new ClientConnection(
      new RecordingSocket(),
      { onSocketClosed: () => undefined },
      budgets,
      localRooms,
    );
    const gate = Promise.withResolvers<string>();
    const first = connection.oneSync(() => gate.promise);
    await expect(connection.oneSync(() => Promise.resolve('second'))).rejects.toMatchObject({
      code: 'rate_limited',
    });
    gate.resolve('first');
    expect(await first).toBe('first');
    expect(await connection.oneSync(() => Promise.resolve('third'))).toBe('third');
  });
});
