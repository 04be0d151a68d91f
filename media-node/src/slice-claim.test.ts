import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import {
  MEDIA_NODE_ID,
  MemoryRegistry,
  PlenaryError,
  SLICE_REST_MS,
  mintIncarnation,
  silentLogger,
  systemClock,
} from '@plenary/cluster';
import type { Registry } from '@plenary/cluster';
import { ManualClock } from '@plenary/cluster';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { SliceSource } from './config.ts';
import { createMetrics } from './metrics.ts';
import { claimSlice } from './slice-claim.ts';
import type { ClaimedSlice } from './slice-claim.ts';

const LEASE_MS = 60;
/** Three slices of ten ports that no other test of this folder uses. */
const RANGE = { firstPort: 12_400, lastPort: 12_429 };
const LEASED: SliceSource = { kind: 'leased', range: RANGE, size: 10 };
const slice = (firstPort: number) => ({ firstPort, lastPort: firstPort + 9 });

const sockets: Socket[] = [];
afterEach(async () => {
  await Promise.all(
    sockets.splice(0).map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.close(resolve);
        }),
    ),
  );
});

async function takePort(port: number): Promise<void> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  await new Promise<void>((resolve) => {
    socket.bind(port, '127.0.0.1', resolve);
  });
}

function claim(
  registry: Registry,
  sliceSource: SliceSource,
  { id = 'own', listenIp = '127.0.0.1', onWaiting = (_reason: string): void => undefined } = {},
): Promise<ClaimedSlice> {
  return claimSlice({
    config: {
      mediaNodeId: MEDIA_NODE_ID.parse(id),
      addresses: [{ family: 'ipv4', listenIp, announced: '127.0.0.1' }],
      sliceSource,
      workers: 1,
      leaseMs: LEASE_MS,
    },
    store: { registry, isAvailable: () => true, onAvailability: () => () => undefined },
    incarnation: mintIncarnation(),
    clock: systemClock,
    metrics: createMetrics(false),
    logger: silentLogger(),
    onWaiting,
  });
}

/** Leases of other nodes, which outlive the test. */
async function occupy(registry: Registry, id: string, firstPort: number, leaseMs = 60_000): Promise<void> {
  const result = await registry.claimPortSlice(
    {
      mediaNodeId: MEDIA_NODE_ID.parse(id),
      incarnation: mintIncarnation(),
      announcedAddress: '127.0.0.1',
      wanted: slice(firstPort),
    },
    leaseMs,
  );
  expect(result.refused).toBeNull();
}

describe('the ports of a node that starts', () => {
  test('[PS5] a leased slice with a taken port is skipped for the next one', async () => {
    const registry = new MemoryRegistry();
    await takePort(12_405);
    await occupy(registry, 'other', 12_410);
    const claimed = await claim(registry, LEASED);
    expect(claimed).toMatchObject({ portSlice: slice(12_420), ports: { webRtcPorts: [12_420] } });
  });

  test('[PS18] [PO3] an explicit slice with a taken port is refused, naming port and process', async () => {
    await takePort(12_405);
    await expect(claim(new MemoryRegistry(), { kind: 'explicit', portSlice: slice(12_400) })).rejects.toThrow(
      `PLENARY_PORT_SLICE 12400-12409: UDP port 12405 on 127.0.0.1 is taken by process ${process.pid}`,
    );
  });

  test('[PS19] an address that cannot be bound does not make it try every slice', async () => {
    const registry = new MemoryRegistry();
    const asked = vi.spyOn(registry, 'claimPortSlice');
    await expect(claim(registry, LEASED, { listenIp: '192.0.2.1' })).rejects.toThrow('cannot be bound');
    expect(asked).toHaveBeenCalledOnce();
  });

  test('[PS21] when others hold the whole range it is refused with their names and the other obstacles', async () => {
    const registry = new MemoryRegistry();
    await occupy(registry, 'first', 12_400);
    await occupy(registry, 'second', 12_410);
    await occupy(registry, 'third', 12_420);
    await expect(claim(registry, LEASED)).rejects.toThrow(
      /PLENARY_PORT_RANGE 12400-12429: no slice of 10 ports is free \(12400-12409 held by first; .* held by third\)/,
    );
  });

  test('[PS20] a resting slice is waited for, and the wait is reported', async () => {
    const clock = new ManualClock();
    const registry = new MemoryRegistry(clock);
    await occupy(registry, 'first', 12_400);
    await occupy(registry, 'second', 12_410);
    await occupy(registry, 'own', 12_420, LEASE_MS);
    const waiting: string[] = [];
    const claiming = claim(registry, LEASED, {
      onWaiting: (reason) => {
        waiting.push(reason);
        clock.advance(SLICE_REST_MS / 2);
      },
    });
    expect((await claiming).portSlice).toEqual(slice(12_420));
    expect(new Set(waiting)).toEqual(new Set(['slice_pending: every slice of the range is held or rests']));
  });

  test('[PS6] while the store is unreachable a leased slice is waited for; an explicit one is used', async () => {
    const registry = new MemoryRegistry();
    const away = new PlenaryError('store_unavailable');
    const asked = vi
      .spyOn(registry, 'claimPortSlice')
      .mockRejectedValueOnce(away)
      .mockRejectedValueOnce(away);
    const onWaiting = vi.fn();
    expect((await claim(registry, LEASED, { onWaiting })).portSlice).toEqual(slice(12_400));
    expect(onWaiting.mock.calls).toEqual(Array(2).fill(['slice_pending: the store is unreachable']));
    asked.mockRejectedValueOnce(away);
    const explicit = { kind: 'explicit', portSlice: slice(12_420) } as const;
    expect((await claim(registry, explicit)).portSlice).toEqual(slice(12_420));
  });

  test('[PO2] a whole range is refused when the system may give ports of it to other programs', async () => {
    const registry = new MemoryRegistry();
    const asked = vi.spyOn(registry, 'claimPortSlice');
    const range = { firstPort: 30_000, lastPort: 65_000 };
    await expect(claim(registry, { kind: 'leased', range, size: 10 })).rejects.toThrow(
      /PLENARY_PORT_RANGE 30000-65000: port \d+ lies in the system's range for outgoing connections/,
    );
    expect(asked).not.toHaveBeenCalled();
  });
});
