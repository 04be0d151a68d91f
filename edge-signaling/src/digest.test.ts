import { CONTROL_REQUESTS, DIGEST } from '@plenary/cluster';
import { TENANT_ID } from '@plenary/cluster/ids';
import { expect, it } from 'vitest';
import { digestOf } from './digest.ts';
import { networkOf } from './media/network-of.ts';
import { digestOfPerson } from './entry/person.ts';

it('[MS10] [HL7] what a media node is told of persons and networks is what its protocol takes, and tells them apart', () => {
  const { person } = digestOfPerson({ tenant: TENANT_ID.parse('acme'), sub: 'ann', guest: undefined });
  const { network } = networkOf({ address: '192.0.2.1' });
  expect(CONTROL_REQUESTS['peer.admit'].payload.shape.person.parse(person)).toBe(digestOf('acme ann'));
  expect(DIGEST.parse(network)).toBe(digestOf('192.0.2.1'));
  expect(digestOf('ann')).not.toBe(digestOf('ben'));
});
