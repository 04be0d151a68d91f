/** Somebody on the line between the cluster's processes and a media node's control port. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { freePort } from '@plenary/cluster/testing/ports';

/** Of each connection so many of the caller's first pieces are kept, in which its whole handshake is. */
const KEPT_PIECES = 8;

/** Carries what processes say to a media node, and keeps how each of them began. */
export class Line {
  /** Where the media node listens. */
  readonly nodePort: number;
  /** What callers said first, a connection each. */
  readonly recorded: Buffer[][] = [];
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

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #carry(caller: Socket): void {
    const node = connect(this.nodePort, '127.0.0.1');
    const said: Buffer[] = [];
    this.recorded.push(said);
    const carry = (from: Socket, to: Socket): void => {
      this.#keep(from);
      from.on('data', (piece: Buffer) => {
        if (from === caller && said.length < KEPT_PIECES) said.push(piece);
        to.write(piece);
      });
      from.on('close', () => to.destroy());
    };
    carry(caller, node);
    carry(node, caller);
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
  }
}
