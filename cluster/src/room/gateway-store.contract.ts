/** The contract of every version of the gateway store. SPEC GW. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Epoch } from '../protocol/edge-media.ts';
import { DATACENTER_ID } from '../protocol/ids.ts';
import { ROOM, joinRoom } from '../testing/rooms-under-test.ts';
import type { RoomsUnderTest } from '../testing/rooms-under-test.ts';
import { mediaNode } from '../testing/samples.ts';
import type { RoomStores } from './room-stores.ts';

export function describeGatewayStore(version: string, open: () => Promise<RoomsUnderTest>): void {
  describe(`gateways (${version})`, () => {
    let subject: RoomsUnderTest;
    let roomLog: RoomStores['roomLog'];
    let gateways: RoomStores['gateways'];
    beforeEach(async () => {
      subject = await open();
      ({ roomLog, gateways } = subject.stores);
    });
    afterEach(() => subject.close());

    const join = async (name: string) => joinRoom(subject.stores, name);

    describe('gateways', () => {
      const claim = (name: string, replacesEpoch?: Epoch) => ({
        roomId: ROOM,
        datacenter: DATACENTER_ID.parse('sbg'),
        homeNodeId: mediaNode('home'),
        mediaNodeId: mediaNode(name),
        ...(replacesEpoch === undefined ? {} : { replacesEpoch }),
      });
      const release = (epoch: Epoch): Promise<void> =>
        gateways.releaseGateway(ROOM, DATACENTER_ID.parse('sbg'), mediaNode('home'), epoch);

      it('[GW1] when many nodes claim at once, one becomes the gateway for each datacenter and home', async () => {
        await join('ann');
        const answers = await Promise.all(
          Array.from({ length: 32 }, (_, index) => gateways.claimGateway(claim(`node-${index}`))),
        );
        expect(new Set(answers.map(({ mediaNodeId, epoch }) => `${mediaNodeId} ${epoch}`)).size).toBe(1);
        const elsewhere = { ...claim('node-x'), datacenter: DATACENTER_ID.parse('gra') };
        expect((await gateways.claimGateway(elsewhere)).mediaNodeId).toBe('node-x');
        const other = { ...claim('node-y'), homeNodeId: mediaNode('other-home') };
        expect((await gateways.claimGateway(other)).mediaNodeId).toBe('node-y');
      });

      it('[GW1] when many nodes replace one gateway at once, one takes over, under a higher epoch', async () => {
        await join('ann');
        const first = await gateways.claimGateway(claim('node-a'));
        const answers = await Promise.all(
          Array.from({ length: 32 }, (_, index) =>
            gateways.claimGateway(claim(`node-${index}`, first.epoch)),
          ),
        );
        const epochs = new Set(answers.map(({ epoch }) => epoch));
        expect(epochs.size).toBe(1);
        expect(Math.min(...epochs)).toBeGreaterThan(first.epoch);
        expect(await gateways.claimGateway(claim('node-z', first.epoch))).toEqual(answers[0]);
      });

      it('[GW7] [GW22] only its own epoch releases a claim, and the claim ends with the room', async () => {
        const ann = await join('ann');
        const first = await gateways.claimGateway(claim('node-a'));
        const second = await gateways.claimGateway(claim('node-b', first.epoch));
        await release(first.epoch);
        expect(await gateways.claimGateway(claim('node-c'))).toEqual(second);
        await release(second.epoch);
        expect((await gateways.claimGateway(claim('node-c'))).mediaNodeId).toBe('node-c');
        await roomLog.removePeer(ROOM, ann.peerId, ann.epoch, 'left');
        await expect(gateways.claimGateway(claim('node-a'))).rejects.toMatchObject({
          code: 'peer_not_found',
        });
        expect(await subject.remainingCount()).toBe(0);
      });
    });
  });
}
