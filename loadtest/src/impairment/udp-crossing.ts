import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { DelayLine } from './delay-line.ts';
import type { Endpoint, Path, RelayCounts } from './impairment.ts';
import { newRelayCounts } from './impairment.ts';
import { travel } from './travel.ts';

interface End {
  readonly socket: Socket;
  /** The path to the real process. */
  readonly line: DelayLine;
}

/**
 * Carries UDP between machines that know nothing of it, from a place where packets to any of them arrive and can be sent
 * in the name of any of them: what one sends to another is sent to that one again, from the first one's address and port.
 */
export class UdpCrossing {
  readonly counts: RelayCounts = newRelayCounts();
  readonly #ends = new Map<string, End>();

  /**
   * @param ends - every address and port that sends or receives; the others' packets are dropped and counted as failed
   * @param path - the way from one host to the end of this index
   */
  static async listen(
    ends: readonly Endpoint[],
    path: (from: string, index: number) => Path,
  ): Promise<UdpCrossing> {
    const crossing = new UdpCrossing();
    try {
      for (const [index, end] of ends.entries()) await crossing.#bind(end, (from) => path(from, index));
    } catch (error) {
      await crossing.close();
      throw error;
    }
    return crossing;
  }

  async close(): Promise<void> {
    const ends = [...this.#ends.values()];
    this.#ends.clear();
    for (const { line } of ends) line.close();
    await Promise.all(
      ends.map(({ socket }) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
  }

  async #bind(at: Endpoint, path: (from: string) => Path): Promise<void> {
    const socket = createSocket(isIPv6(at.host) ? 'udp6' : 'udp4');
    const end: End = { socket, line: new DelayLine() };
    this.#ends.set(nameOf(at.host, at.port), end);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: at.host, port: at.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    socket.on('error', () => {
      this.counts.failed += 1;
    });
    socket.on('message', (packet, sender) => {
      const asSender = this.#ends.get(nameOf(sender.address, sender.port));
      if (asSender === undefined) {
        this.counts.failed += 1;
        return;
      }
      travel(path(sender.address), this.counts, end.line, packet, () => {
        asSender.socket.send(packet, at.port, at.host, this.#sent);
      });
    });
  }

  readonly #sent = (error: Error | null): void => {
    if (error === null) this.counts.forwarded += 1;
    else this.counts.failed += 1;
  };
}

function nameOf(host: string, port: number): string {
  return `${host} ${port}`;
}
