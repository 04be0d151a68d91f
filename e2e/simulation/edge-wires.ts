import {
  CONTROL_NOTICES,
  CONTROL_REQUESTS,
  CONTROL_TIMEOUT_MS,
  PlenaryError,
  notice,
} from '@plenary/cluster';
import type {
  ControlCaller,
  ControlReply,
  ControlRequestInput,
  ControlRequestName,
  Incarnation,
  MediaNodeId,
  MediaNodeRecord,
} from '@plenary/cluster';
import { Calls } from '@plenary/cluster/testing/simulation/calls';
import type { Life } from '@plenary/cluster/testing/simulation/virtual-time';
import { Wire } from '@plenary/cluster/testing/simulation/wire';
import type { Net } from '@plenary/cluster/testing/simulation/wire';
import { ControlLinks, noticeRoutes, UpWaiters } from '@plenary/edge-signaling/simulation';
import type { ControlLinkListener, OwnedLink } from '@plenary/edge-signaling/simulation';
import type { SimulatedMediaNode } from './media-node.ts';
import { isRepeatable } from './node-wires.ts';

/** A handshake that takes longer is tried again, in milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;

/** The parts of the world that an edge's links reach. */
export interface EdgeWiresOptions {
  readonly net: Net;
  readonly life: Life;
  readonly caller: ControlCaller;
  readonly listener: ControlLinkListener;
  /** The live process under an id, if it can be reached. */
  readonly nodeAt: (mediaNodeId: MediaNodeId) => SimulatedMediaNode | undefined;
  readonly onMalformed: (detail: string) => void;
}

/** An edge's link to one media node; it reconnects until it is closed. */
class EdgeWire implements OwnedLink {
  readonly mediaNodeId: MediaNodeId;
  readonly controlUrl: string;
  readonly #options: EdgeWiresOptions;
  readonly #waiters = new UpWaiters(() => this.#isUp);
  #wire: Wire | undefined;
  #calls: Calls<typeof CONTROL_REQUESTS> | undefined;
  #incarnation: Incarnation | undefined;
  #isUp = false;
  /** The link was up, and its owner has not been notified since that the node is unreachable. */
  #isUnreachableDue = false;
  #isClosed = false;
  #downSinceMs: number;

  constructor(
    { mediaNodeId, controlUrl }: Pick<MediaNodeRecord, 'mediaNodeId' | 'controlUrl'>,
    options: EdgeWiresOptions,
  ) {
    this.mediaNodeId = mediaNodeId;
    this.controlUrl = controlUrl;
    this.#options = options;
    this.#downSinceMs = options.net.time.nowMs;
    this.#connect();
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /** The current connection, if there is one. */
  get wire(): Wire | undefined {
    return this.#wire;
  }

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  downForMs(): number {
    return this.#isUp ? 0 : this.#options.net.time.nowMs - this.#downSinceMs;
  }

  async call<Name extends ControlRequestName>(
    name: Name,
    payload: ControlRequestInput<Name>,
    timeoutMs = CONTROL_TIMEOUT_MS,
  ): Promise<ControlReply<Name>> {
    if (!this.#isUp || this.#calls === undefined) throw new PlenaryError('media_unavailable');
    return this.#calls.ask(name, payload, timeoutMs);
  }

  async whenUp(withinMs: number): Promise<boolean> {
    return this.#waiters.wait(withinMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#wire?.close('caller');
    this.#waiters.finish();
  }

  #connect(): void {
    const { net, life, caller, nodeAt } = this.#options;
    const node = nodeAt(this.mediaNodeId);
    if (node === undefined) {
      if (this.#isUnreachableDue) this.#options.listener.onDown(this, 'refused');
      this.#isUnreachableDue = false;
      this.#connectLater();
      return;
    }
    const wire: Wire = new Wire(
      net,
      {
        life,
        onClosed: () => {
          clearTimeout(timer);
          this.#closed();
        },
      },
      {
        life: node.life,
        onClosed: () => {
          node.closed(wire);
        },
      },
    );
    const timer = setTimeout(() => {
      wire.close('caller');
    }, CONNECT_TIMEOUT_MS);
    this.#wire = wire;
    this.#calls = new Calls(net, wire, CONTROL_REQUESTS, isRepeatable, (name, payload) =>
      node.answer(wire, name, payload),
    );
    const take = this.#notices(() => {
      clearTimeout(timer);
    });
    wire.send(
      'callee',
      () => 'connect',
      () => {
        node.accept(wire, caller, take);
      },
    );
  }

  #notices(onHello: () => void): (name: string, payload: unknown) => void {
    const { listener, onMalformed } = this.#options;
    const routes: Readonly<Record<string, (payload: unknown) => void>> = {
      hello: notice(
        CONTROL_NOTICES.hello,
        ({ incarnation }) => {
          onHello();
          this.#incarnation = incarnation;
          this.#isUp = true;
          this.#isUnreachableDue = false;
          listener.onUp(this, incarnation);
          this.#waiters.finish();
        },
        onMalformed,
      ),
      ...noticeRoutes(this.mediaNodeId, listener, onMalformed),
    };
    return (name, payload) => routes[name]?.(payload);
  }

  #closed(): void {
    this.#calls?.broken();
    this.#calls = undefined;
    this.#wire = undefined;
    if (this.#isUp) {
      this.#isUp = false;
      this.#downSinceMs = this.#options.net.time.nowMs;
      this.#isUnreachableDue = !this.#isClosed;
      this.#options.listener.onDown(this, 'broken');
    }
    this.#connectLater();
  }

  #connectLater(): void {
    if (this.#isClosed) return;
    setTimeout(
      () => {
        if (!this.#isClosed) this.#connect();
      },
      this.#options.net.random.between(100, 1_000),
    );
  }
}

/** An edge's links, managed by the same class as those of a real edge. */
export class EdgeWires extends ControlLinks<EdgeWire> {
  constructor(options: EdgeWiresOptions) {
    super({
      open: (node, listener) => new EdgeWire(node, { ...options, listener }),
      listener: options.listener,
      count: () => undefined,
    });
  }

  /** All open connections. */
  wires(): readonly Wire[] {
    return this.all()
      .map((link) => link.wire)
      .filter((wire) => wire !== undefined);
  }
}
