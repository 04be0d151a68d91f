/** The contract of every version of the tenant store. SPEC PL12, PL13, RJ4. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { peer, room, tenant } from '../testing/samples.ts';
import type { TenantClaim, TenantLimits, TenantStore } from './tenant-store.ts';

export interface TenantStoreUnderTest {
  readonly tenants: TenantStore;
  /** The store's own time, in seconds since 1970. */
  nowSeconds(): number;
  /** Lets this much of the store's own time pass. */
  passTime(byMs: number): Promise<void>;
  /** The number of keys or claims in the store; zero when everything was freed. */
  remainingCount(): Promise<number>;
  close(): Promise<void>;
}

const ACME = tenant('acme');
const LEASE_MS = 60_000;
const claimOf = (roomName: string, peerName: string): TenantClaim => ({
  roomId: room(roomName),
  peerId: peer(peerName),
});
const REFUSED = { code: 'tenant_limit_reached' };
const HOUR_MS = 3_600_000;

export function describeTenantStore(version: string, open: () => Promise<TenantStoreUnderTest>): void {
  describe(`tenant store (${version})`, () => {
    let subject: TenantStoreUnderTest;
    let tenants: TenantStore;
    beforeEach(async () => {
      subject = await open();
      tenants = subject.tenants;
    });
    afterEach(() => subject.close());

    const claim = (roomName: string, peerName: string, limits: Partial<TenantLimits> = {}) =>
      tenants.claim(
        ACME,
        claimOf(roomName, peerName),
        { maxPeers: undefined, maxRooms: undefined, ...limits },
        LEASE_MS,
      );

    it('[PL12] refuses one peer more than the limit, and frees its place with the one that leaves', async () => {
      const limits = { maxPeers: 2 };
      expect(await claim('one', 'ann', limits)).toBe(true);
      expect(await claim('two', 'ben', limits)).toBe(true);
      await expect(claim('one', 'cyd', limits)).rejects.toMatchObject(REFUSED);
      await tenants.release(ACME, claimOf('one', 'ann'));
      expect(await claim('one', 'cyd', limits)).toBe(true);
    });

    it('[PL12] refuses one room more than the limit, and admits more people into existing rooms', async () => {
      const limits = { maxRooms: 1 };
      await claim('one', 'ann', limits);
      await claim('one', 'ben', limits);
      await expect(claim('two', 'cyd', limits)).rejects.toMatchObject(REFUSED);
      await tenants.release(ACME, claimOf('one', 'ann'));
      await expect(claim('two', 'cyd', limits)).rejects.toMatchObject(REFUSED);
      await tenants.release(ACME, claimOf('one', 'ben'));
      expect(await claim('two', 'cyd', limits)).toBe(true);
    });

    it('[PL12] a peer with a claim keeps it, even if the limit is lower now', async () => {
      await claim('one', 'ann');
      expect(await claim('one', 'ann', { maxPeers: 0, maxRooms: 0 })).toBe(false);
      await expect(claim('one', 'ben', { maxPeers: 1 })).rejects.toMatchObject(REFUSED);
    });

    it('[PL12] admits no more of many simultaneous callers than the limit allows', async () => {
      const answers = await Promise.allSettled(
        Array.from({ length: 40 }, (_, index) =>
          claim(`room-${index % 8}`, `peer-${index}`, { maxPeers: 10, maxRooms: 5 }),
        ),
      );
      expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
    });

    it('[PL12] tenants do not affect each other', async () => {
      const limits = { maxPeers: 1, maxRooms: 1 };
      await tenants.claim(ACME, claimOf('one', 'ann'), limits, LEASE_MS);
      expect(await tenants.claim(tenant('other'), claimOf('one', 'ben'), limits, LEASE_MS)).toBe(true);
    });

    it('[PL29] a claim expires if nobody renews it, and its room with it', async () => {
      const limits = { maxPeers: 1, maxRooms: 1 };
      await claim('one', 'ann', limits);
      await subject.passTime(LEASE_MS - 10_000);
      await expect(claim('two', 'ben', limits)).rejects.toMatchObject(REFUSED);
      await subject.passTime(10_001);
      expect(await claim('two', 'ben', limits)).toBe(true);
    });

    it('[PL13] a renewal prolongs claims, and restores lost ones', async () => {
      await claim('one', 'ann');
      await subject.passTime(LEASE_MS - 10_000);
      await tenants.renew(ACME, [claimOf('one', 'ann'), claimOf('two', 'ben')], LEASE_MS);
      await subject.passTime(LEASE_MS - 10_000);
      await expect(claim('one', 'cyd', { maxPeers: 2 })).rejects.toMatchObject(REFUSED);
      await expect(claim('three', 'cyd', { maxRooms: 2 })).rejects.toMatchObject(REFUSED);
    });

    it('[PL28] freeing a claim twice, or one that never existed, changes nothing and leaves nothing behind', async () => {
      await claim('one', 'ann');
      await claim('one', 'ben');
      await tenants.release(ACME, claimOf('one', 'ann'));
      await tenants.release(ACME, claimOf('one', 'ann'));
      await tenants.release(ACME, claimOf('two', 'dan'));
      await expect(claim('two', 'cyd', { maxRooms: 1 })).rejects.toMatchObject(REFUSED);
      await tenants.release(ACME, claimOf('one', 'ben'));
      await tenants.renew(ACME, [], LEASE_MS);
      expect(await subject.remainingCount()).toBe(0);
    });

    const tokenOf = (roomName: string, person: string, issuedAtSeconds = subject.nowSeconds()) => ({
      roomId: room(roomName),
      subject: person,
      issuedAtSeconds,
    });

    it('[RJ4] a revocation of a person in a room affects only this person, and only there', async () => {
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann'))).toBe(false);
      await tenants.revoke(ACME, { roomId: room('one'), subject: 'ann' }, HOUR_MS, false);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann'))).toBe(true);
      expect(await tenants.isRevoked(ACME, tokenOf('two', 'ann'))).toBe(false);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ben'))).toBe(false);
      expect(await tenants.isRevoked(tenant('other'), tokenOf('one', 'ann'))).toBe(false);
    });

    it('[RJ4] a revocation of a room, a person or a tenant affects all its tokens', async () => {
      await tenants.revoke(ACME, { roomId: room('one') }, HOUR_MS, false);
      await tenants.revoke(ACME, { subject: 'cyd' }, HOUR_MS, false);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ben'))).toBe(true);
      expect(await tenants.isRevoked(ACME, tokenOf('two', 'cyd'))).toBe(true);
      expect(await tenants.isRevoked(ACME, tokenOf('two', 'ben'))).toBe(false);
      await tenants.revoke(ACME, {}, HOUR_MS, false);
      expect(await tenants.isRevoked(ACME, tokenOf('two', 'ben'))).toBe(true);
    });

    it('[RJ16] tokens made later are accepted, but not one of a clock that is half a minute ahead', async () => {
      await tenants.revoke(ACME, { subject: 'ann: |,{}' }, HOUR_MS, false);
      const now = subject.nowSeconds();
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann: |,{}', now + 25))).toBe(true);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann: |,{}', now + 35))).toBe(false);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann: |,{}', 0))).toBe(true);
    });

    it('[RJ17] a revocation expires when no such token can be valid any more', async () => {
      await tenants.revoke(ACME, { subject: 'ann' }, HOUR_MS, false);
      await subject.passTime(HOUR_MS - LEASE_MS);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann', 0))).toBe(true);
      await subject.passTime(LEASE_MS + 1);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann', 0))).toBe(false);
    });

    const sessionOf = (roomName: string, person: string, joinedAtMs = subject.nowSeconds() * 1_000) => ({
      roomId: room(roomName),
      subject: person,
      joinedAtMs,
    });

    it('[OP14] a revocation that ends sessions ends those that began before, of its scope only', async () => {
      await tenants.revoke(ACME, { roomId: room('one'), subject: 'ann' }, HOUR_MS, true);
      await tenants.revoke(ACME, { roomId: room('two') }, HOUR_MS, false);
      const now = subject.nowSeconds() * 1_000;
      expect(await tenants.isEnded(ACME, sessionOf('one', 'ann', now - HOUR_MS))).toBe(true);
      expect(await tenants.isEnded(ACME, sessionOf('one', 'ann', now + 35_000))).toBe(false);
      expect(await tenants.isEnded(ACME, sessionOf('one', 'ben'))).toBe(false);
      expect(await tenants.isEnded(ACME, sessionOf('two', 'ann'))).toBe(false);
      expect(await tenants.isEnded(tenant('other'), sessionOf('one', 'ann'))).toBe(false);
    });

    it('[OP16] ended sessions stay ended after a later revocation that ends none, until no token is valid', async () => {
      await tenants.revoke(ACME, {}, HOUR_MS, true);
      await subject.passTime(60_000);
      await tenants.revoke(ACME, {}, HOUR_MS, false);
      expect(await tenants.isEnded(ACME, sessionOf('one', 'ann', 0))).toBe(true);
      await subject.passTime(HOUR_MS - 59_999);
      expect(await tenants.isEnded(ACME, sessionOf('one', 'ann', 0))).toBe(false);
      expect(await tenants.isRevoked(ACME, tokenOf('one', 'ann', 0))).toBe(true);
    });
  });
}
