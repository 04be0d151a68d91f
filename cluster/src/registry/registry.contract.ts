/** What every version of the registry must do. SPEC RG. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mintIncarnation } from '../ids.ts';
import { edgeRecord, mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import type { Registry } from './registry.ts';

export interface RegistryUnderTest {
  readonly registry: Registry;
  /**
   * Makes every lease of at most this length lapse, and no longer one: by moving the registry's own clock, or by bringing
   * about what the end of a lease does where that clock cannot be moved. Settles when `registry` reads it so. Never by
   * waiting, since a slow machine would then let leases lapse before the test has looked.
   */
  passTime(byMs: number): Promise<void>;
  close(): Promise<void>;
}

const LEASE_MS = 60_000;

export function describeRegistry(version: string, open: () => Promise<RegistryUnderTest>): void {
  describe(`registry (${version})`, () => {
    let subject: RegistryUnderTest;
    let registry: Registry;
    beforeEach(async () => {
      subject = await open();
      registry = subject.registry;
    });
    afterEach(() => subject.close());

    const other = { portSlice: { firstPort: 20_100, lastPort: 20_199 } };

    it('[RG1] lists what is announced, in the order of ids, and forgets it when the lease lapses', async () => {
      const [first, second] = [mediaNodeRecord('node-a'), mediaNodeRecord('node-b', other)];
      await registry.announceMediaNode(second, LEASE_MS * 100);
      await registry.announceMediaNode(first, LEASE_MS);
      expect(await registry.liveMediaNodes()).toEqual([first, second]);
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.liveMediaNodes()).toEqual([second]);
    });

    it('[RG1] a renewal replaces the record and prolongs the lease', async () => {
      const record = mediaNodeRecord('node-a');
      await registry.announceMediaNode(record, LEASE_MS);
      const renewed = { ...record, state: 'draining' as const, peerCount: 7 };
      expect(await registry.announceMediaNode(renewed, LEASE_MS * 100)).toEqual({ refused: null });
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.liveMediaNodes()).toEqual([renewed]);
    });

    it('[RG2] an id is refused to another incarnation while the lease of the first runs', async () => {
      const first = mediaNodeRecord('node-a');
      const imposter = mediaNodeRecord('node-a', other);
      await registry.announceMediaNode(first, LEASE_MS);
      expect(await registry.announceMediaNode(imposter, LEASE_MS)).toEqual({ refused: 'id_taken' });
      expect(await registry.liveMediaNodes()).toEqual([first]);
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.announceMediaNode(imposter, LEASE_MS)).toEqual({ refused: null });
    });

    it('[RG3] a slice that overlaps a living node of the same address is refused with its name', async () => {
      const owner = mediaNodeRecord('node-a');
      await registry.announceMediaNode(owner, LEASE_MS);
      const overlapping = mediaNodeRecord('node-b', { portSlice: { firstPort: 20_099, lastPort: 20_150 } });
      expect(await registry.announceMediaNode(overlapping, LEASE_MS)).toEqual({
        refused: 'port_slice_overlap',
        by: mediaNode('node-a'),
        portSlice: owner.portSlice,
      });
      expect(await registry.liveMediaNodes()).toEqual([owner]);
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.announceMediaNode(overlapping, LEASE_MS)).toEqual({ refused: null });
    });

    it('[RG3] equal slices under different addresses do not clash, nor do neighbouring ones', async () => {
      await registry.announceMediaNode(mediaNodeRecord('node-a'), LEASE_MS);
      const elsewhere = mediaNodeRecord('node-b', { announcedAddress: 'media-b.example.org' });
      expect(await registry.announceMediaNode(elsewhere, LEASE_MS)).toEqual({ refused: null });
      expect(await registry.announceMediaNode(mediaNodeRecord('node-c', other), LEASE_MS)).toEqual({
        refused: null,
      });
    });

    it('[RG4] only the holder’s incarnation withdraws an announcement', async () => {
      const record = mediaNodeRecord('node-a');
      await registry.announceMediaNode(record, LEASE_MS * 100);
      await registry.withdrawMediaNode(record.mediaNodeId, mintIncarnation());
      expect(await registry.liveMediaNodes()).toHaveLength(1);
      await registry.withdrawMediaNode(record.mediaNodeId, record.incarnation);
      expect(await registry.liveMediaNodes()).toEqual([]);
    });

    it('[RG1] [RG2] [RG4] the same holds for edges', async () => {
      const [first, second] = [edgeRecord('edge-a'), edgeRecord('edge-b')];
      await registry.announceEdge(second, LEASE_MS * 100);
      await registry.announceEdge(first, LEASE_MS);
      expect(await registry.liveEdges()).toEqual([first, second]);
      expect(await registry.announceEdge(edgeRecord('edge-a'), LEASE_MS)).toEqual({ refused: 'id_taken' });
      await registry.withdrawEdge(second.edgeId, second.incarnation);
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.liveEdges()).toEqual([]);
    });
  });
}
