/**
 * What browsers of 2022 do not have yet, and the app asks for where it would otherwise end without a word. The build puts the
 * language into an older form, and adds no functions.
 */
if (!('withResolvers' in Promise)) {
  const withResolvers = <Value>(): PromiseWithResolvers<Value> => {
    let settle: Pick<PromiseWithResolvers<Value>, 'resolve' | 'reject'> | undefined;
    const promise = new Promise<Value>((resolve, reject) => {
      settle = { resolve, reject };
    });
    if (settle === undefined) throw new TypeError('a promise gives its resolvers at once');
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
