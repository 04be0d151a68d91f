import { describe, expect, it } from 'vitest';
import { parseArguments } from './arguments.mjs';

describe('parseArguments', () => {
  it('hands everything behind start and test on', () => {
    expect(parseArguments(['start', '--edges', '3'])).toEqual({
      command: 'start',
      purpose: 'start',
      rest: ['--edges', '3'],
    });
    expect(parseArguments(['test', '--help'])).toEqual({
      command: 'test',
      purpose: 'test',
      rest: ['--help'],
    });
  });

  it('sets up everything unless told', () => {
    expect(parseArguments(['setup'])).toEqual({ command: 'setup', purpose: 'test' });
    expect(parseArguments(['setup', '--for', 'base'])).toEqual({ command: 'setup', purpose: 'base' });
  });

  it('takes --for of run only before the command, whose own flags it leaves alone', () => {
    expect(parseArguments(['run', '--for', 'base', 'vitest', '--for', 'x'])).toEqual({
      command: 'run',
      purpose: 'base',
      program: 'vitest',
      rest: ['--for', 'x'],
    });
  });

  it.each([
    [[], /Which command/],
    [['fly'], /no command `fly`/],
    [['setup', '--fast'], /does not know `--fast`/],
    [['setup', '--for', 'all'], /base, start or test, not `all`/],
    [['run', '--for', 'base'], /needs a command/],
  ])('refuses %j', (args, message) => {
    expect(() => parseArguments(args)).toThrow(message);
  });
});
