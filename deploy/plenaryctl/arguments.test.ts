import { describe, expect, it } from 'vitest';
import { parseArguments, parseDuration } from './arguments.ts';

describe('plenaryctl', () => {
  it.each([
    ['', { kind: 'help' }],
    ['drain --help', { kind: 'help' }],
    ['drain media-1', { kind: 'drain', node: 'media-1', deadlineMs: 600_000 }],
    ['drain media-1 --deadline 90s', { kind: 'drain', node: 'media-1', deadlineMs: 90_000 }],
    [
      'drain --deadline=1h http://10.0.0.1:4000',
      { kind: 'drain', node: 'http://10.0.0.1:4000', deadlineMs: 3_600_000 },
    ],
    ['node-key media-1', { kind: 'node-key', mediaNodeId: 'media-1' }],
    ['admin-key media-node media-1', { kind: 'admin-key', subject: { kind: 'media-node', id: 'media-1' } }],
    ['rooms', { kind: 'rooms', tenant: undefined }],
    ['rooms acme', { kind: 'rooms', tenant: 'acme' }],
    ['people acme daily', { kind: 'people', tenant: 'acme', room: 'daily' }],
    ['revoke acme', { kind: 'revoke', request: { tenant: 'acme', end: false }, edges: [] }],
    [
      'revoke acme --edge http://10.0.0.1:13000 --end --edge https://edge-2:13000',
      {
        kind: 'revoke',
        request: { tenant: 'acme', end: true },
        edges: ['http://10.0.0.1:13000', 'https://edge-2:13000'],
      },
    ],
    [
      'revoke acme --room daily --person ann --end',
      { kind: 'revoke', request: { tenant: 'acme', room: 'daily', person: 'ann', end: true }, edges: [] },
    ],
    ['undrain edge-1', { kind: 'undrain', node: 'edge-1' }],
    ['status edge-1', { kind: 'status', node: 'edge-1' }],
  ])('understands "%s"', (line, command) => {
    expect(parseArguments(line.split(' ').filter(Boolean))).toEqual(command);
  });

  it.each([
    ['reboot edge-1', 'no command reboot'],
    ['drain', 'exactly one node'],
    ['admin-key media-1', 'edge or media-node'],
    ['admin-key edge a/b', 'edge or media-node'],
    ['admin-key edge a b', 'edge or media-node'],
    ['rooms a b', 'one API key at most'],
    ['people acme', 'is not a room'],
    ['people acme daily more', 'an API key and a room'],
    ['revoke', 'is not an API key'],
    ['revoke acme other', 'exactly one API key'],
    ['revoke acme --roon daily', 'roon'],
    ['revoke acme --room', 'room'],
    ['revoke acme --room a/b', 'is not a room'],
    ['revoke acme --edge edge-1', 'is not the URL'],
    ['node-key', 'exactly one id'],
    ['node-key a/b', 'exactly one id'],
    ['node-key a b', 'exactly one id'],
    ['drain a b', 'exactly one node'],
    ['drain a --force', 'no option --force'],
    ['undrain a --deadline 1s', 'has no deadline'],
    ['drain a --deadline', 'is not a time'],
    ['drain a --deadline 1s --deadline 2s', 'one deadline'],
  ])('refuses "%s"', (line, why) => {
    expect(() => parseArguments(line.split(' '))).toThrow(why);
  });

  it('reads times up to a day', () => {
    expect(['0s', '250ms', '24h'].map(parseDuration)).toEqual([0, 250, 86_400_000]);
    for (const wrong of ['10', 'm', '-1s', '1.5h', '25h', '1d'])
      expect(() => parseDuration(wrong)).toThrow('is not a time');
  });
});
