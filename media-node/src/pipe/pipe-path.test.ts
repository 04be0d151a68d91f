import { DATACENTER_ID, MEDIA_NODE_ID } from '@plenary/cluster';
import { describe, expect, test } from 'vitest';
import { UNKNOWN_MACHINE } from './machine.ts';
import { pathBetween } from './pipe-path.ts';
import type { PipeOrigin, PipeTarget } from './pipe-path.ts';

const [gra, sbg] = [DATACENTER_ID.parse('gra'), DATACENTER_ID.parse('sbg')];

const origin = (announcedAddress: string, ...pipeAddresses: string[]): PipeOrigin => ({
  addresses: { announcedAddress },
  pipeAddresses,
  pipeScope: 'cluster',
  datacenter: gra,
  machine: UNKNOWN_MACHINE,
});
const target = (announcedAddress: string, ...pipeAddresses: string[]): PipeTarget => ({
  mediaNodeId: MEDIA_NODE_ID.parse('other'),
  addresses: { announcedAddress },
  pipeAddresses,
  machineId: undefined,
});
const ends = (own: PipeOrigin, other: PipeTarget, datacenter = gra): readonly string[] => {
  const { ownAddress, toAddress } = pathBetween(own, other, datacenter);
  return [ownAddress, toAddress];
};

describe('the addresses of a pipe', () => {
  test.each([
    {
      title: 'both have one for pipes',
      own: origin('203.0.113.1', '10.1.0.1'),
      other: target('203.0.113.2', '10.1.0.2'),
      expected: ['10.1.0.1', '10.1.0.2'],
    },
    {
      title: 'neither has',
      own: origin('203.0.113.1'),
      other: target('203.0.113.2'),
      expected: ['203.0.113.1', '203.0.113.2'],
    },
    {
      title: 'the other one is private anyway',
      own: origin('203.0.113.1', '10.1.0.1'),
      other: target('10.1.0.2'),
      expected: ['10.1.0.1', '10.1.0.2'],
    },
    {
      title: 'this node is private anyway',
      own: origin('10.1.0.1'),
      other: target('203.0.113.2', '10.1.0.2'),
      expected: ['10.1.0.1', '10.1.0.2'],
    },
    {
      title: 'only one of two on the internet has a private one',
      own: origin('203.0.113.1', '10.1.0.1'),
      other: target('203.0.113.2'),
      expected: ['203.0.113.1', '203.0.113.2'],
    },
    {
      title: 'a second public one beside a public one',
      own: origin('203.0.113.1', '198.51.100.1'),
      other: target('203.0.113.2'),
      expected: ['198.51.100.1', '203.0.113.2'],
    },
    {
      title: 'of IPv6 alone',
      own: origin('203.0.113.1', 'fd00::1'),
      other: target('203.0.113.2', '10.1.0.2', 'fd00::2'),
      expected: ['fd00::1', 'fd00::2'],
    },
    {
      title: 'of families that the two do not share',
      own: origin('203.0.113.1', 'fd00::1'),
      other: target('203.0.113.2', '10.1.0.2'),
      expected: ['203.0.113.1', '203.0.113.2'],
    },
  ])('[PI12] [PI24] $title', ({ own, other, expected }) => {
    expect(ends(own, other)).toEqual(expected);
  });

  test('[PI25] pipe addresses are used only within the datacenter if private networks are not connected', () => {
    const own: PipeOrigin = { ...origin('203.0.113.1', '10.1.0.1'), pipeScope: 'datacenter' };
    const other = target('203.0.113.2', '10.1.0.2');
    expect(ends(own, other)).toEqual(['10.1.0.1', '10.1.0.2']);
    expect(ends(own, other, sbg)).toEqual(['203.0.113.1', '203.0.113.2']);
  });

  test('[PI8] the addresses of the pipe decide about encryption', () => {
    const machine = { id: 'one', hasAddress: (address: string) => address.startsWith('10.') };
    const own = { ...origin('203.0.113.1', '10.1.0.1'), machine };
    const path = (other: PipeTarget): boolean => pathBetween(own, { ...other, machineId: 'one' }, gra).srtp;
    expect(path(target('203.0.113.1', '10.1.0.2'))).toBe(false);
    expect(path(target('203.0.113.1'))).toBe(true);
  });
});
