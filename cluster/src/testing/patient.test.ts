import { describe, expect, it } from 'vitest';
import { PlenaryError } from '../errors.ts';
import { patient } from './patient.ts';

const unheard = (): PlenaryError =>
  new PlenaryError('store_unavailable', undefined, { cause: new Error('no answer within 2000 ms') });

/** Throws these in turn, and then gives its number of calls. */
class Port {
  calls = 0;
  readonly #faults: Error[];

  constructor(faults: Error[]) {
    this.#faults = faults;
  }

  async ask(): Promise<number> {
    this.calls += 1;
    const fault = this.#faults.shift();
    await Promise.resolve();
    if (fault !== undefined) throw fault;
    return this.calls;
  }
}

describe('a patient port', () => {
  it('asks again where no answer came in time', async () => {
    expect(await patient(new Port([unheard(), unheard()])).ask()).toBe(3);
  });

  it.each([
    new PlenaryError('store_unavailable', undefined, { cause: new Error('connect ECONNREFUSED') }),
    new PlenaryError('store_unavailable'),
    new PlenaryError('room_full'),
    new TypeError('a fault of ours'),
  ])('hands on any other refusal, and asks no more: %s', async (fault) => {
    const port = new Port([fault]);
    await expect(patient(port).ask()).rejects.toBe(fault);
    expect(port.calls).toBe(1);
  });
});
