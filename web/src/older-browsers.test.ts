import { expect, test, vi } from 'vitest';

test('[WB56] functions that older browsers lack are added, and existing ones are not replaced', async () => {
  const { withResolvers } = Promise;
  const { canParse } = URL;
  Reflect.deleteProperty(Promise, 'withResolvers');
  Reflect.deleteProperty(URL, 'canParse');
  try {
    await import('./older-browsers.ts');
    const { promise, resolve } = Promise.withResolvers<number>();
    resolve(1);
    expect(await promise).toBe(1);
    const refused = Promise.withResolvers<number>();
    refused.reject(new Error('no'));
    await expect(refused.promise).rejects.toThrow('no');
    expect([
      URL.canParse('https://a.test'),
      URL.canParse('/b'),
      URL.canParse('/b', 'https://a.test'),
    ]).toEqual([true, false, true]);
  } finally {
    for (const [owner, name, value] of [
      [Promise, 'withResolvers', withResolvers],
      [URL, 'canParse', canParse],
    ] as const)
      Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  }
  vi.resetModules();
  await import('./older-browsers.ts');
  expect([Promise.withResolvers, URL.canParse]).toEqual([withResolvers, canParse]);
});
