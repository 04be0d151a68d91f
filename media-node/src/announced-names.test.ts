import { describe, expect, test, vi } from 'vitest';
import { AnnouncedNames } from './announced-names.ts';
import type { MediaAddress } from './media-address.ts';

const NAME: MediaAddress = {
  family: 'ipv4',
  listenIp: '0.0.0.0',
  announced: 'media.example.org',
  clientAddresses: ['media.example.org', '10.1.0.21'],
};

/** A resolver whose answers the test sets. */
function names(): {
  readonly names: AnnouncedNames;
  readonly logger: { info: ReturnType<typeof vi.fn>; warn: ReturnType<typeof vi.fn> };
  answer: (...addresses: string[]) => Promise<void>;
} {
  let answers: readonly string[] = [];
  const logger = { info: vi.fn(), warn: vi.fn() };
  const resolver = new AnnouncedNames({
    addresses: [NAME],
    logger,
    resolve: () => (answers.length === 0 ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(answers)),
  });
  return {
    names: resolver,
    logger,
    answer: async (...addresses) => {
      answers = addresses;
      await resolver.refresh();
    },
  };
}

describe('announced host names', () => {
  test('[AD6] clients get the resolved addresses, and the new ones when they change', async () => {
    const { names: told, answer, logger } = names();
    await answer('203.0.113.21', '203.0.113.22', '203.0.113.23');
    expect(told.current()).toEqual(['203.0.113.21', '203.0.113.22', '10.1.0.21']);
    await answer('203.0.113.21', '203.0.113.22');
    expect(logger.info).toHaveBeenCalledTimes(1);
    await answer('203.0.113.99');
    expect(told.current()).toEqual(['203.0.113.99', '10.1.0.21']);
    expect(logger.info).toHaveBeenCalledTimes(2);
    expect(logger.warn).not.toHaveBeenCalled();
  });

  test('[AD21] known addresses stay while the name does not resolve', async () => {
    const { names: told, answer } = names();
    await answer('203.0.113.21');
    await answer();
    expect(told.current()).toEqual(['203.0.113.21', '10.1.0.21']);
  });

  test('[AD24] a new order of the same addresses changes nothing', async () => {
    const { names: told, answer, logger } = names();
    await answer('203.0.113.23', '203.0.113.21', '203.0.113.22');
    await answer('203.0.113.21', '203.0.113.22', '203.0.113.23');
    await answer('203.0.113.22', '203.0.113.23', '203.0.113.21');
    expect(told.current()).toEqual(['203.0.113.21', '203.0.113.22', '10.1.0.21']);
    expect(logger.info).toHaveBeenCalledTimes(1);
  });

  test('[AD21] [AD22] each failure to resolve is logged once, and so is its end', async () => {
    const { answer, logger } = names();
    for (let time = 1; time <= 3; time += 1) {
      await answer('203.0.113.21');
      expect([logger.warn.mock.calls.length, logger.info.mock.calls.length]).toEqual([time - 1, time]);
      await answer();
      await answer();
      expect([logger.warn.mock.calls.length, logger.info.mock.calls.length]).toEqual([time, time]);
    }
    expect(logger.warn).toHaveBeenLastCalledWith(
      { name: 'media.example.org', found: [], announced: ['203.0.113.21'] },
      expect.stringContaining('no longer has an address'),
    );
  });

  test('[AD23] a name without an address is announced as it is, with one warning', async () => {
    const { names: told, answer, logger } = names();
    await answer();
    await answer();
    expect(told.current()).toEqual(['media.example.org', '10.1.0.21']);
    expect(logger.warn).toHaveBeenCalledTimes(1);
  });

  test('[AD23] the loopback address that a machine gives its own name is not announced', async () => {
    const { names: told, answer, logger } = names();
    await answer('127.0.1.1');
    expect(told.current()).toEqual(['media.example.org', '10.1.0.21']);
    expect(logger.warn).toHaveBeenCalledTimes(1);
  });

  test('[AD23] a name with a private address here may have a public one elsewhere: clients get both', async () => {
    const { names: told, answer, logger } = names();
    await answer('10.1.0.99');
    expect(told.current()).toEqual(['media.example.org', '10.1.0.99', '10.1.0.21']);
    expect(logger.warn).toHaveBeenCalledWith(
      { name: 'media.example.org', addresses: ['10.1.0.99'] },
      expect.stringContaining('PLENARY_ANNOUNCED_ADDRESS'),
    );
  });
});
