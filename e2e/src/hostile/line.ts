/** An attacker on the connection between the cluster's processes and a media node's control port. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { freePort } from '@plenary/cluster/testing/ports';
import { until } from '../harness/until.ts';

/** How many of the caller's first pieces are kept for each connection; they contain the whole handshake. */
const KEPT_PIECES = 8;
/** The size of a sealed beat, in bytes: answers to small requests and Engine.IO's pings are shorter, and everything else is longer. */
const BEAT_BYTES = { least: 118, most: 130 };
/** The edges of the world, each of which has a link to the node. */
const EDGES = 2;

/** A connection that passes the tap. */
interface Carried {
  /** The caller's first pieces. */
  readonly firstPieces: readonly Buffer[];
  readonly ended: Promise<unknown>;
  /** Whether the node has sent a beat, which it only sends to edges. */
  beats: boolean;
  /** Whether a bit of the next beat is to be flipped. */
  flipNextBeat: boolean;
}

/** Forwards connections to a media node, and records how each of them began. */
export class WireTap {
  /** The media node's own port. */
  readonly nodePort: number;
  /** The callers' first pieces, one list for each connection. */
  readonly recorded: Buffer[][] = [];
  /** The open connections. */
  readonly #carried = new Set<Carried>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((caller) => this.#carry(caller));

  static async create(): Promise<WireTap> {
    const line = new WireTap(await freePort());
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  private constructor(nodePort: number) {
    this.nodePort = nodePort;
  }

  /** The control URL that the node announces. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The environment of a media node behind this tap. */
  get settings(): Readonly<Record<string, string>> {
    return { PLENARY_PORT: String(this.nodePort), PLENARY_CONTROL_URL: this.url };
  }

  /** Sends recorded pieces to the node again. @returns `closed`, or `went on` if the node answers as to a caller that it trusts */
  async replay([upgrade = Buffer.of(), opening = Buffer.of(), ...more]: readonly Buffer[]): Promise<string> {
    const socket = connect(this.nodePort, '127.0.0.1');
    this.#keep(socket);
    let answered = '';
    const ended = once(socket, 'close');
    socket.on('data', (piece: Buffer) => {
      const text = piece.toString('latin1');
      // Engine.IO drops data that arrives together with the upgrade request.
      if (!answered.includes('"sid"') && text.includes('"sid"')) socket.write(opening);
      if (text.includes('challenge')) socket.write(Buffer.concat(more));
      answered += text;
    });
    socket.write(upgrade);
    await ended;
    // The node seals its messages to a caller that it trusts.
    return answered.includes('"sealed"') ? 'went on' : 'closed';
  }

  /** Flips one bit of the next beat to each edge, and waits until those links have ended and been opened again. */
  async flipBits(): Promise<'reopened'> {
    const beating = (): Carried[] => [...this.#carried].filter(({ beats }) => beats);
    const links = await until('edges to receive beats', beating, (all) => all.length >= EDGES);
    for (const link of links) link.flipNextBeat = true;
    await Promise.all(links.map(({ ended }) => ended));
    await until(
      'every edge whose link was cut to open another one',
      () => beating().length,
      (back) => back >= EDGES,
    );
    return 'reopened';
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(caller: Socket): void {
    const node = connect(this.nodePort, '127.0.0.1');
    const said: Buffer[] = [];
    this.recorded.push(said);
    const carried: Carried = {
      firstPieces: said,
      ended: once(node, 'close'),
      beats: false,
      flipNextBeat: false,
    };
    this.#carried.add(carried);
    node.on('close', () => this.#carried.delete(carried));
    const carry = (from: Socket, to: Socket, asIs: (piece: Buffer) => Buffer): void => {
      this.#keep(from);
      from.on('data', (piece: Buffer) => to.write(asIs(piece)));
      from.on('close', () => to.destroy());
    };
    carry(caller, node, (piece) => {
      if (said.length < KEPT_PIECES) said.push(piece);
      return piece;
    });
    carry(node, caller, (piece) => {
      const isBeat = piece.length >= BEAT_BYTES.least && piece.length <= BEAT_BYTES.most;
      carried.beats ||= isBeat;
      if (!carried.flipNextBeat || !isBeat) return piece;
      carried.flipNextBeat = false;
      return withFlippedBit(piece);
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** Flips a bit in the middle of the piece, which is sealed. */
function withFlippedBit(piece: Buffer): Buffer {
  const changed = Buffer.from(piece);
  const middle = changed.length >> 1;
  changed.writeUInt8(changed.readUInt8(middle) ^ 1, middle);
  return changed;
}
