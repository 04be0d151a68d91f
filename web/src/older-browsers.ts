/**
 * Polyfills of functions that browsers of 2022 lack, and without which the app would end without a message. The build compiles newer
 * syntax, but adds no functions.
 */
if (!('withResolvers' in Promise)) {
  const withResolvers = <Value>(): PromiseWithResolvers<Value> => {
    let settle: Pick<PromiseWithResolvers<Value>, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<Value>((resolve, reject) => {
      settle = { resolve, reject };
    });
    if (settle === undefined) throw new TypeError('the executor of a promise did not run');
    return { promise, ...settle };
  };
  Object.defineProperty(Promise, 'withResolvers', {
    value: withResolvers,
    configurable: true,
    writable: true,
  });
}

if (!('canParse' in URL)) {
  const canParse = (url: string | URL, base?: string | URL): boolean => {
    try {
      new URL(url, base);
      return true;
    } catch {
      return false;
    }
  };
  Object.defineProperty(URL, 'canParse', { value: canParse, configurable: true, writable: true });
}

export {};
