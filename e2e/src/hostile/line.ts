/** Somebody on the line between the cluster's processes and a media node's control port. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { freePort } from '@plenary/cluster/testing/ports';
import { until } from '../harness/until.ts';

/** Of each connection so many of the caller's first pieces are kept, in which its whole handshake is. */
const KEPT_PIECES = 8;
/** A beat has so many bytes: answers to small requests are shorter, as Engine.IO's pings are, and whatever else is said is longer. */
const BEAT_BYTES = { least: 118, most: 130 };
/** Edges of the world, each of which has a link to the node. */
const EDGES = 2;

/** A connection that is carried. */
interface Carried {
  /** What its caller said first. */
  readonly said: readonly Buffer[];
  readonly ended: Promise<unknown>;
  /** A beat of the node came, as edges get them. */
  beats: boolean;
  /** A bit of the next one is to be changed. */
  isToFlip: boolean;
}

/** Carries what processes say to a media node, and keeps how each of them began. */
export class Line {
  /** Where the media node listens. */
  readonly nodePort: number;
  /** What callers said first, a connection each. */
  readonly recorded: Buffer[][] = [];
  /** Connections that stand. */
  readonly #carried = new Set<Carried>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((caller) => this.#carry(caller));

  static async create(): Promise<Line> {
    const line = new Line(await freePort());
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  private constructor(nodePort: number) {
    this.nodePort = nodePort;
  }

  /** Where everybody is told that it listens. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How a media node is set up that is reached by this line. */
  get settings(): Readonly<Record<string, string>> {
    return { PLENARY_PORT: String(this.nodePort), PLENARY_CONTROL_URL: this.url };
  }

  /** Says again to the node what was recorded of a caller. @returns `closed`, or `went on` where the node answers it as a caller */
  async sayAgain([
    upgrade = Buffer.of(),
    opening = Buffer.of(),
    ...more
  ]: readonly Buffer[]): Promise<string> {
    const socket = connect(this.nodePort, '127.0.0.1');
    this.#keep(socket);
    let answered = '';
    const ended = once(socket, 'close');
    socket.on('data', (piece: Buffer) => {
      const text = piece.toString('latin1');
      // What comes with the request for an upgrade is lost in Engine.IO.
      if (!answered.includes('"sid"') && text.includes('"sid"')) socket.write(opening);
      if (text.includes('challenge')) socket.write(Buffer.concat(more));
      answered += text;
    });
    socket.write(upgrade);
    await ended;
    // What a node says to a caller that it believes is sealed.
    return answered.includes('"sealed"') ? 'went on' : 'closed';
  }

  /** Changes one bit of the next beat to each edge, and waits until those links have ended and the edges are back. */
  async flipBits(): Promise<'reopened'> {
    const beating = (): Carried[] => [...this.#carried].filter(({ beats }) => beats);
    const links = await until('edges to hear beats', beating, (all) => all.length >= EDGES);
    for (const link of links) link.isToFlip = true;
    await Promise.all(links.map(({ ended }) => ended));
    await until(
      'every edge whose link was cut to come back',
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
    const carried: Carried = { said, ended: once(node, 'close'), beats: false, isToFlip: false };
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
      if (!carried.isToFlip || !isBeat) return piece;
      carried.isToFlip = false;
      return withFlippedBit(piece);
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}

/** In the midst, which is sealed. */
function withFlippedBit(piece: Buffer): Buffer {
  const changed = Buffer.from(piece);
  const middle = changed.length >> 1;
  changed.writeUInt8(changed.readUInt8(middle) ^ 1, middle);
  return changed;
}
