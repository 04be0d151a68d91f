/** The contract of every version of the registry. SPEC RG. */
import { SLICE_REST_MS } from '../limits/store-limits.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mintIncarnation } from '../ids.ts';
import { edgeRecord, mediaNode, mediaNodeRecord } from '../testing/samples.ts';
import type { MediaNodeRecord, PortSliceClaim, PortSliceResult, Registry } from './registry.ts';

export interface RegistryUnderTest {
  readonly registry: Registry;
  /**
   * Makes every lease of at most this length lapse, and no longer one: moves the registry's own clock, or, if that is
   * impossible, causes what the end of a lease causes. Resolves when `registry` reads it so. It never waits, since a
   * slow machine would then let leases lapse before the test has checked.
   */
  passTime(byMs: number): Promise<void>;
  close(): Promise<void>;
}

const LEASE_MS = 60_000;
/** Room for ten slices of a hundred ports. */
const RANGE = { firstPort: 40_000, lastPort: 40_999 };

const slice = (firstPort: number, lastPort = firstPort + 99) => ({ firstPort, lastPort });

function claimFromRange(name: string, changes: Partial<PortSliceClaim> = {}): PortSliceClaim {
  return {
    mediaNodeId: mediaNode(name),
    incarnation: mintIncarnation(),
    announcedAddress: '192.0.2.1',
    wanted: { range: RANGE, size: 100, except: [] },
    ...changes,
  };
}

/** The record that a node announces with what it claimed. */
function recordOf(claim: PortSliceClaim, result: PortSliceResult): MediaNodeRecord {
  if (result.refused !== null) throw new Error(result.refused);
  const { mediaNodeId, incarnation, announcedAddress, announcedIpv6 } = claim;
  const ipv6 = announcedIpv6 === undefined ? {} : { announcedIpv6 };
  return mediaNodeRecord(mediaNodeId, {
    incarnation,
    announcedAddress,
    portSlice: result.portSlice,
    ...ipv6,
  });
}

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

    it('[RG1] lists announced records in the order of ids, and forgets them when their lease lapses', async () => {
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

    it('[RG2] an id is refused to another incarnation while the first one’s lease runs', async () => {
      const first = mediaNodeRecord('node-a');
      const imposter = mediaNodeRecord('node-a', other);
      await registry.announceMediaNode(first, LEASE_MS);
      expect(await registry.announceMediaNode(imposter, LEASE_MS)).toEqual({ refused: 'id_taken' });
      expect(await registry.liveMediaNodes()).toEqual([first]);
      await subject.passTime(LEASE_MS + 1);
      expect(await registry.announceMediaNode(imposter, LEASE_MS)).toEqual({ refused: null });
    });

    it('[RG3] a slice that overlaps one of a live node with the same address is refused with that node’s name', async () => {
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

    it('[RG3] equal slices under different addresses do not conflict, nor do adjacent ones', async () => {
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

    it('[PS1] [PS12] a claim gets the first free slice of the range, and a repeat the same', async () => {
      const [first, second] = [claimFromRange('node-a'), claimFromRange('node-b')];
      expect(await registry.claimPortSlice(first, LEASE_MS)).toEqual({
        refused: null,
        portSlice: slice(40_000),
      });
      const repeats = [
        await registry.claimPortSlice(second, LEASE_MS),
        await registry.claimPortSlice(second, LEASE_MS),
      ];
      expect(repeats).toEqual(Array(2).fill({ refused: null, portSlice: slice(40_100) }));
    });

    it('[PS13] [PS14] ten nodes that claim at once get ten slices, and the eleventh gets the list of holders', async () => {
      const claims = Array.from({ length: 10 }, (_unused, index) => claimFromRange(`node-${index}`));
      const results = await Promise.all(claims.map((claim) => registry.claimPortSlice(claim, LEASE_MS)));
      const firstPorts = results.map((result) => (result.refused === null ? result.portSlice.firstPort : 0));
      expect(firstPorts.sort()).toEqual(Array.from({ length: 10 }, (_unused, index) => 40_000 + index * 100));
      const refusal = await registry.claimPortSlice(claimFromRange('late'), LEASE_MS);
      if (refusal.refused !== 'no_free_slice') throw new Error(`unexpected: ${refusal.refused ?? 'claimed'}`);
      expect(refusal.holders.map(({ portSlice }) => portSlice.firstPort)).toEqual(firstPorts);
      expect(new Set(refusal.holders.map(({ mediaNodeId }) => mediaNodeId)).size).toBe(10);
      expect(refusal.holders.every(({ restsForMs }) => restsForMs === null)).toBe(true);
    });

    it('[PS1] under another address the whole range is free; with one shared address it is not', async () => {
      const ipv6 = { announcedIpv6: '2001:db8::1' };
      await registry.claimPortSlice(claimFromRange('node-a', ipv6), LEASE_MS);
      const elsewhere = claimFromRange('node-b', { announcedAddress: '192.0.2.2' });
      const shared = claimFromRange('node-c', { announcedAddress: '2001:db8::1' });
      expect(await registry.claimPortSlice(elsewhere, LEASE_MS)).toMatchObject({ portSlice: slice(40_000) });
      expect(await registry.claimPortSlice(shared, LEASE_MS)).toMatchObject({ portSlice: slice(40_100) });
      const overlapping = mediaNodeRecord('node-d', {
        announcedAddress: '192.0.2.3',
        announcedIpv6: '2001:db8::1',
        portSlice: slice(40_050),
      });
      expect(await registry.announceMediaNode(overlapping, LEASE_MS)).toMatchObject({ by: 'node-a' });
    });

    it('[PS1] a claim skips occupied slices, also those of another size, and excluded ones', async () => {
      await registry.announceMediaNode(
        mediaNodeRecord('fixed', { announcedAddress: '192.0.2.1', portSlice: slice(40_150, 40_160) }),
        LEASE_MS,
      );
      const claim = claimFromRange('node-a');
      expect(await registry.claimPortSlice(claim, LEASE_MS)).toMatchObject({ portSlice: slice(40_000) });
      // The node releases the slice because it cannot use it.
      const next = { ...claim, wanted: { range: RANGE, size: 100, except: [40_000] } };
      expect(await registry.claimPortSlice(next, LEASE_MS)).toMatchObject({ portSlice: slice(40_200) });
      const choosy = { range: RANGE, size: 100, except: [40_300, 40_400] };
      expect(
        await registry.claimPortSlice(claimFromRange('node-c', { wanted: choosy }), LEASE_MS),
      ).toMatchObject({
        portSlice: slice(40_500),
      });
      const small = { range: slice(40_000, 40_199), size: 100, except: [] };
      const refusal = await registry.claimPortSlice(claimFromRange('node-b', { wanted: small }), LEASE_MS);
      expect(refusal).toMatchObject({
        refused: 'no_free_slice',
        holders: [
          { mediaNodeId: 'node-a', portSlice: slice(40_000) },
          { mediaNodeId: 'fixed', portSlice: slice(40_150, 40_160), restsForMs: null },
        ],
      });
      if (refusal.refused !== 'no_free_slice') throw new Error('unexpected');
      expect(refusal.holders[0]?.restsForMs).toBeGreaterThan(0);
    });

    it('[PS2] announcements hold the claimed slice and renew its lease', async () => {
      const claim = claimFromRange('node-a');
      const record = recordOf(claim, await registry.claimPortSlice(claim, LEASE_MS));
      expect(await registry.announceMediaNode(record, LEASE_MS * 100)).toEqual({ refused: null });
      await subject.passTime(LEASE_MS + SLICE_REST_MS + 1);
      expect(await registry.claimPortSlice(claimFromRange('node-b'), LEASE_MS)).toMatchObject({
        portSlice: slice(40_100),
      });
    });

    it('[PS2] a claimed slice is refused to an explicit configuration, before it is announced too', async () => {
      await registry.claimPortSlice(claimFromRange('node-a'), LEASE_MS);
      const explicit = claimFromRange('node-b', { wanted: slice(40_050) });
      const refusal = { refused: 'port_slice_overlap', by: mediaNode('node-a'), portSlice: slice(40_000) };
      expect(await registry.claimPortSlice(explicit, LEASE_MS)).toEqual(refusal);
      const record = recordOf(explicit, { refused: null, portSlice: slice(40_050) });
      expect(await registry.announceMediaNode(record, LEASE_MS)).toEqual(refusal);
    });

    it('[PS15] when many claim overlapping slices at once, exactly one succeeds', async () => {
      const claims = Array.from({ length: 8 }, (_unused, index) =>
        claimFromRange(`node-${index}`, { wanted: slice(40_000 + index * 10) }),
      );
      const results = await Promise.all(claims.map((claim) => registry.claimPortSlice(claim, LEASE_MS)));
      const winner = results.findIndex(({ refused }) => refused === null);
      expect(results.filter(({ refused }) => refused === null)).toHaveLength(1);
      const losers = results.filter(({ refused }) => refused !== null);
      expect(losers).toEqual(
        Array(7).fill({
          refused: 'port_slice_overlap',
          by: claims[winner]?.mediaNodeId,
          portSlice: claims[winner]?.wanted,
        }),
      );
    });

    it('[PS3] a released slice rests before it is leased again', async () => {
      const claim = claimFromRange('node-a');
      const record = recordOf(claim, await registry.claimPortSlice(claim, LEASE_MS));
      await registry.announceMediaNode(record, LEASE_MS);
      await registry.withdrawMediaNode(record.mediaNodeId, mintIncarnation());
      await registry.withdrawMediaNode(record.mediaNodeId, record.incarnation);
      const narrow = { wanted: { range: slice(40_000), size: 100, except: [] } };
      const refusal = await registry.claimPortSlice(claimFromRange('node-b', narrow), LEASE_MS);
      expect(refusal).toMatchObject({ refused: 'no_free_slice', holders: [{ mediaNodeId: 'node-a' }] });
      if (refusal.refused !== 'no_free_slice') throw new Error('unexpected');
      const restsForMs = refusal.holders[0]?.restsForMs ?? 0;
      expect(restsForMs).toBeGreaterThan(0);
      expect(restsForMs).toBeLessThanOrEqual(SLICE_REST_MS);
      await subject.passTime(restsForMs + 1);
      expect(await registry.claimPortSlice(claimFromRange('node-b', narrow), LEASE_MS)).toEqual({
        refused: null,
        portSlice: slice(40_000),
      });
    });

    it('[PS3] a slice whose lease lapsed also rests, even for its own node', async () => {
      const claim = claimFromRange('node-a');
      await registry.claimPortSlice(claim, LEASE_MS);
      await subject.passTime(LEASE_MS + 1);
      const restarted = claimFromRange('node-a');
      expect(await registry.claimPortSlice(restarted, LEASE_MS)).toMatchObject({ portSlice: slice(40_100) });
      await subject.passTime(SLICE_REST_MS);
      expect(await registry.claimPortSlice(claimFromRange('node-b'), LEASE_MS)).toMatchObject({
        portSlice: slice(40_000),
      });
    });

    it('[PS16] [PS17] an explicit configuration gets its own slice back at once, held or resting', async () => {
      const explicit = { wanted: slice(40_000) };
      const [first, second, third] = [1, 2, 3].map(() => claimFromRange('node-a', explicit));
      if (first === undefined || second === undefined || third === undefined) throw new Error('unexpected');
      const given = { refused: null, portSlice: slice(40_000) };
      expect(await registry.claimPortSlice(first, LEASE_MS)).toEqual(given);
      expect(await registry.claimPortSlice(second, LEASE_MS)).toEqual(given);
      // The second incarnation owns the first one's slice now: the first cannot release it.
      await registry.withdrawMediaNode(first.mediaNodeId, first.incarnation);
      expect(await registry.claimPortSlice(claimFromRange('node-b', explicit), LEASE_MS)).toMatchObject({
        refused: 'port_slice_overlap',
      });
      await registry.withdrawMediaNode(second.mediaNodeId, second.incarnation);
      expect(await registry.claimPortSlice(third, LEASE_MS)).toEqual(given);
    });

    it('[PS4] a node that lost its slice is refused with the new holder’s name, until that holder is gone', async () => {
      const lost = claimFromRange('node-a');
      const record = recordOf(lost, await registry.claimPortSlice(lost, LEASE_MS));
      await registry.announceMediaNode(record, LEASE_MS);
      await subject.passTime(LEASE_MS + SLICE_REST_MS + 1);
      const heir = claimFromRange('node-b');
      const heirs = recordOf(heir, await registry.claimPortSlice(heir, LEASE_MS));
      expect(heirs.portSlice).toEqual(record.portSlice);
      expect(await registry.announceMediaNode(record, LEASE_MS)).toEqual({
        refused: 'port_slice_overlap',
        by: heir.mediaNodeId,
        portSlice: record.portSlice,
      });
      await registry.announceMediaNode(heirs, LEASE_MS);
      await registry.withdrawMediaNode(record.mediaNodeId, record.incarnation);
      expect(await registry.liveMediaNodes()).toEqual([heirs]);
      await registry.withdrawMediaNode(heirs.mediaNodeId, heirs.incarnation);
      expect(await registry.announceMediaNode(record, LEASE_MS)).toEqual({ refused: null });
    });
  });
}
