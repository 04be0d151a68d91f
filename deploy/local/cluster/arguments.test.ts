import { describe, expect, it } from 'vitest';
import { parseStartArguments } from './arguments.ts';

const options = (args: string[], redisUrl?: string) => {
  const command = parseStartArguments(args, redisUrl);
  if (command.kind !== 'start') throw new Error('asks for help');
  return command.options;
};

describe('parseStartArguments', () => {
  it('begins at port 3000, control at 3100, RTP at 20000', () => {
    expect(options([]).ports).toEqual({ edges: 3000, control: 3100, operators: 3300, rtp: 20_000 });
    expect(options(['--port', '4000']).ports).toMatchObject({ edges: 4000, control: 4100 });
  });

  it('takes the shape', () => {
    const args = ['--edges', '3', '--media-nodes=4', '--workers', '1', '--datacenters', 'a,b,c', '--no-web'];
    expect(options(args)).toMatchObject({
      edges: 3,
      mediaNodes: 4,
      workers: 1,
      datacenters: ['a', 'b', 'c'],
      web: false,
    });
  });

  it('leaves to the defaults what is not given', () => {
    expect(Object.keys(options([])).sort()).toEqual(['dataDir', 'guests', 'ports']);
  });

  it('uses REDIS_URL', () => {
    expect(options([], 'redis://elsewhere:6379').redisUrl).toBe('redis://elsewhere:6379');
    expect(options([], '')).not.toHaveProperty('redisUrl');
  });

  it('knows --help', () => {
    expect(parseStartArguments(['--help'], undefined)).toEqual({ kind: 'help' });
  });

  it.each([
    [['--edgse', '3'], /--edgse/],
    [['--edges'], /--edges/],
    [['--edges', '0'], /--edges takes a whole number from 1 to 100, not `0`/],
    [['--edges', '2.5'], /not `2\.5`/],
    [['--port', '70000'], /--port takes a whole number from 1 to 65535/],
    [['--datacenters', 'Gra!'], /--datacenters/],
    [['--log-level', 'loud'], /--log-level takes one of/],
    [['stray'], /stray/],
  ])('refuses %j in one message that points to --help', (args, message) => {
    expect(() => options(args)).toThrow(message);
    expect(() => options(args)).toThrow(/--help/);
  });

  it('refuses a REDIS_URL that is none', () => {
    expect(() => options([], 'localhost:6379')).toThrow(/REDIS_URL/);
  });
});
