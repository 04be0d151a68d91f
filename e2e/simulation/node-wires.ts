import { CONTROL_NOTICES, CONTROL_REQUESTS, CONTROL_TIMEOUT_MS, PlenaryError } from '@plenary/cluster';
import type {
  ControlCaller,
  ControlNoticeName,
  DatacenterId,
  Incarnation,
  MediaNodeId,
} from '@plenary/cluster';
import type { ReplyEnvelope } from '@plenary/cluster/protocol';
import { Calls } from '@plenary/cluster/testing/simulation/calls';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { Wire } from '@plenary/cluster/testing/simulation/wire';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import type {
  HomeSide,
  NodeDirectory,
  PipeKey,
  RemoteNode,
  RemoteNodes,
  Rooms,
} from '@plenary/media-node/simulation';

const PIPE_PRODUCER = CONTROL_NOTICES['pipe.producer'].payload;
const PIPE_MOVED = CONTROL_NOTICES['pipe.moved'].payload;
const PIPE_CLOSED = CONTROL_NOTICES['pipe.closed'].payload;
/** How long a connection may take, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;

/** A pipe's opening must not be repeated, because a second request opens another pipe. */
export const isRepeatable = (name: string): boolean => name !== 'pipe.open';

/** Receives a notice, on the caller's side. */
export type TakeNotice = (name: ControlNoticeName, payload: unknown) => void;

/** A node as other nodes' links reach it. */
export interface ReachedNode {
  readonly life: Life;
  accept(wire: Wire, caller: ControlCaller, take: TakeNotice): void;
  answer(wire: Wire, name: string, payload: unknown): Promise<ReplyEnvelope>;
  closed(wire: Wire): void;
}

/** The node that owns these links. */
export interface LinkOwner {
  readonly life: Life;
  readonly plan: { readonly mediaNodeId: MediaNodeId };
  readonly incarnation: Incarnation;
  readonly rooms: Pick<Rooms, 'producerChanged' | 'pipeMoved' | 'pipeClosed'>;
}

/** The parts of the world that links reach. */
export interface LinkWorld {
  readonly net: Net;
  /** The live process under an id. */
  readonly nodeAt: (mediaNodeId: MediaNodeId) => ReachedNode | undefined;
}

/** A node's links to other nodes, managed as `NodeLinks` does: one for each node, opened at first use. */
export class NodeWires implements RemoteNodes {
  readonly #self: LinkOwner;
  readonly #world: LinkWorld;
  readonly #directory: NodeDirectory;
  readonly #wires: Set<Wire>;
  readonly #links = new Map<MediaNodeId, Promise<RemoteNode>>();

  constructor(self: LinkOwner, world: LinkWorld, directory: NodeDirectory, wires: Set<Wire>) {
    this.#self = self;
    this.#world = world;
    this.#directory = directory;
    this.#wires = wires;
  }

  find(mediaNodeId: MediaNodeId): Promise<RemoteNode> {
    const known = this.#links.get(mediaNodeId);
    if (known !== undefined) return known;
    const forget = (): void => {
      if (this.#links.get(mediaNodeId) === opening) this.#links.delete(mediaNodeId);
    };
    const opening = this.#open(mediaNodeId, forget);
    this.#links.set(mediaNodeId, opening);
    opening.catch(forget);
    return opening;
  }

  datacenterOf(mediaNodeId: MediaNodeId): Promise<DatacenterId> {
    return this.#directory.datacenterOf(mediaNodeId);
  }

  async #open(mediaNodeId: MediaNodeId, forget: () => void): Promise<RemoteNode> {
    const { announcedAddress, announcedIpv6 } = await this.#directory.find(mediaNodeId);
    const { net } = this.#world;
    const remote = this.#world.nodeAt(mediaNodeId);
    if (remote === undefined) {
      await new Promise((resolve) => setTimeout(resolve, net.random.between(1, 50)));
      throw new PlenaryError('media_unavailable');
    }
    const holders = new Set<() => void>();
    const wire = new Wire(
      net,
      {
        life: this.#self.life,
        onClosed: () => {
          this.#wires.delete(wire);
          forget();
          calls.broken();
          for (const holder of [...holders]) holder();
          holders.clear();
        },
      },
      {
        life: remote.life,
        onClosed: () => {
          remote.closed(wire);
        },
      },
    );
    const calls = new Calls(net, wire, CONTROL_REQUESTS, isRepeatable, (name, payload) =>
      remote.answer(wire, name, payload),
    );
    this.#wires.add(wire);
    await this.#connect(wire, remote);
    return {
      mediaNodeId,
      addresses: { announcedAddress, announcedIpv6 },
      pipeAddresses: [],
      machineId: undefined,
      locate: async (roomId, trackId) =>
        (await calls.ask('pipe.locate', { roomId, trackId }, CONTROL_TIMEOUT_MS)).routerId,
      relay: async (roomId, homeNodeId) =>
        (await calls.ask('pipe.relay', { roomId, homeNodeId }, CONTROL_TIMEOUT_MS)).routerId,
      homeSide: (key) => homeSide(calls, wire, key),
      hold: (onBroken) => {
        const holder = (): void => {
          onBroken();
        };
        holders.add(holder);
        if (!wire.isOpen('caller')) holder();
        return () => holders.delete(holder);
      },
    };
  }

  #connect(wire: Wire, remote: ReachedNode): Promise<void> {
    const { plan, incarnation } = this.#self;
    return new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        wire.close('caller');
        reject(new PlenaryError('media_unavailable'));
      }, CONNECT_TIMEOUT_MS);
      const caller = { kind: 'media-node', id: plan.mediaNodeId, incarnation } as const;
      wire.send(
        'callee',
        () => 'connect',
        () => {
          remote.accept(wire, caller, (name, payload) => {
            if (name === 'hello') {
              clearTimeout(timer);
              resolve();
            } else this.#take(name, payload);
          });
        },
      );
    });
  }

  #take(name: ControlNoticeName, payload: unknown): void {
    const { rooms } = this.#self;
    if (name === 'pipe.producer') {
      const { trackId, state, ...key } = PIPE_PRODUCER.parse(payload);
      rooms.producerChanged(key, trackId, state);
    }
    if (name === 'pipe.moved') {
      const { homeNodeId, ...key } = PIPE_MOVED.parse(payload);
      rooms.pipeMoved(key, homeNodeId);
    }
    if (name === 'pipe.closed') rooms.pipeClosed(PIPE_CLOSED.parse(payload));
  }
}

function homeSide(calls: Calls<typeof CONTROL_REQUESTS>, wire: Wire, key: PipeKey): HomeSide {
  return {
    open: async ({ end }) => (await calls.ask('pipe.open', { ...key, end }, CONTROL_TIMEOUT_MS)).end,
    consume: (track) => calls.ask('pipe.consume', { ...key, ...track }, CONTROL_TIMEOUT_MS),
    setWanted: async (trackId, wanted) => {
      await calls.ask('pipe.demand', { ...key, trackId, wanted }, CONTROL_TIMEOUT_MS);
    },
    release: async (trackId) => {
      await calls.ask('pipe.release', { ...key, trackId }, CONTROL_TIMEOUT_MS);
    },
    sentBytes: async () => (await calls.ask('pipe.traffic', { ...key }, CONTROL_TIMEOUT_MS)).sentBytes,
    close: async () => {
      if (wire.isOpen('caller')) await calls.ask('pipe.close', { ...key }, CONTROL_TIMEOUT_MS);
    },
  };
}
