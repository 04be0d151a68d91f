import { describe, expect, test } from 'vitest';
import { THIS_MACHINE, UNKNOWN_MACHINE, staysOnMachine } from './machine.ts';
import type { Machine } from './machine.ts';

const own: Machine = { id: 'one', hasAddress: (address) => address === '10.1.0.21' };

describe('what stays on the machine', () => {
  test.each([
    ['one', '10.1.0.21', true],
    // Two machines behind one NAT, or two with one private address plan.
    ['two', '10.1.0.21', false],
    // Two nodes of one machine behind a NAT, whose packets leave the machine and return.
    ['one', '203.0.113.21', false],
    ['one', 'media.example.org', false],
    [undefined, '10.1.0.21', false],
  ])('[PI8] a node of machine %s at %s: %s', (machineId, address, stays) => {
    expect(staysOnMachine(own, { machineId, address })).toBe(stays);
  });

  test('[PI23] nothing stays on a machine that cannot be identified', () => {
    const other = { machineId: undefined, address: '127.0.0.1' };
    expect(staysOnMachine(UNKNOWN_MACHINE, other)).toBe(false);
  });

  test.runIf(process.platform === 'linux')('[PI8] this machine knows itself and its addresses', () => {
    expect(THIS_MACHINE.id).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(['127.0.0.1', '127.0.0.9', '192.0.2.1'].map((ip) => THIS_MACHINE.hasAddress(ip))).toEqual([
      true,
      true,
      false,
    ]);
  });
});
