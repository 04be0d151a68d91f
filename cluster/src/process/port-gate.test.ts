import { EventEmitter } from 'node:events';
import { Server } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../clock.ts';
import { guardConnections, PortGate } from './port-gate.ts';
import type { GuardedSocket, PortRefusal } from './port-gate.ts';

/** A connection from an address, with only the parts that the guard uses. */
class SocketFrom extends EventEmitter implements GuardedSocket {
  readonly remoteAddress: string;
  bytesRead = 0;
  destroyed = false;

  constructor(address: string) {
    super();
    this.remoteAddress = address;
  }
  destroy(): void {
    this.destroyed = true;
  }
  receive(bytes: number): void {
    this.bytesRead += bytes;
    this.emit('data');
  }
}

function subject(closesOfAddress: 'newest' | 'oldest' = 'newest') {
  const clock = new ManualClock();
  const refused: PortRefusal[] = [];
  const guard = new PortGate({
    maxUnproven: 4,
    maxPerAddress: 2,
    closesOfAddress,
    withinMs: 1_000,
    maxBytes: 100,
    clock,
    onRefused: (why) => refused.push(why),
  });
  const open = (address: string): SocketFrom => {
    const socket = new SocketFrom(address);
    guard.opened(socket);
    return socket;
  };
  return { clock, guard, refused, open };
}

describe('the control port', () => {
  it('[EN11] bounds unproven connections of one address, and in all: closes the oldest', () => {
    const { guard, refused, open } = subject();
    const first = open('a');
    open('a');
    expect(open('a').destroyed).toBe(true);
    open('b');
    const last = open('b');
    expect(guard.unprovenCount).toBe(4);
    open('c');
    expect(first.destroyed).toBe(true);
    expect(refused).toEqual(['address', 'crowd']);
    guard.proven({ socket: last });
    expect(guard.unprovenCount).toBe(3);
    expect(open('b').destroyed).toBe(false);
  });

  it('[EN35] closes the oldest connection of an address if many hosts share it', () => {
    const { guard, refused, open } = subject('oldest');
    const elsewhere = open('b');
    const [first, second, third] = [open('a'), open('a'), open('a')];
    expect([elsewhere, first, second, third].map(({ destroyed }) => destroyed)).toEqual([
      false,
      true,
      false,
      false,
    ]);
    open('a');
    expect(second.destroyed).toBe(true);
    expect(guard.unprovenCount).toBe(3);
    expect(refused).toEqual(['address', 'address']);
  });

  it('[EN11] bounds the time and the bytes that a WebSocket has for its proof', () => {
    const { clock, guard, refused, open } = subject();
    const [slow, request, long, honest] = [open('a'), open('b'), open('c'), open('d')];
    for (const socket of [slow, long, honest]) guard.upgraded({ socket });
    long.receive(100);
    expect(long.destroyed).toBe(false);
    long.receive(1);
    expect(long.destroyed).toBe(true);
    guard.proven({ socket: honest });
    honest.receive(10_000);
    clock.advance(1_001);
    guard.closeLate();
    expect(slow.destroyed).toBe(true);
    expect(honest.destroyed).toBe(false);
    // A request has Node's own limits, and a scraper keeps its connection open.
    expect(request.destroyed).toBe(false);
    expect(refused).toEqual(['long', 'late']);
    expect(honest.listenerCount('data')).toBe(0);
  });

  it('[EN33] finds the connection below TLS, even if an earlier connection between the same ends reports its close late', () => {
    const { guard } = subject();
    const server = new Server();
    // Node's own listener needs more of a socket than this fake provides.
    server.removeAllListeners('connection');
    guardConnections(server, guard);
    const [before, carrier] = [new SocketFrom('a'), new SocketFrom('a')];
    server.emit('connection', before);
    guard.proven({ socket: before });
    server.emit('connection', carrier);
    before.emit('close');
    const secured = new SocketFrom('a');
    server.emit('secureConnection', secured);
    guard.proven({ socket: secured });
    expect(guard.unprovenCount).toBe(0);
  });
});
