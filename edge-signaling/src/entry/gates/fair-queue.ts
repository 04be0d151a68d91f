/** A first-in, first-out queue that does not move its items each time the first one leaves. */
class Line<Item> {
  #items: Item[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Item | undefined {
    return this.#items[this.#head];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  take(): Item | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    if (this.#head === this.#items.length || this.#head >= 1_024) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/**
 * Serves the lines of several owners in turn: one item of each line, then again from the first line. Taking and adding take
 * constant time, however many items wait.
 */
class Turntable<Key, Item> {
  readonly #lines = new Map<Key, Item>();
  readonly #open: (key: Key) => Item;

  constructor(open: (key: Key) => Item) {
    this.#open = open;
  }

  lineOf(key: Key): Item {
    const known = this.#lines.get(key);
    if (known !== undefined) return known;
    const line = this.#open(key);
    this.#lines.set(key, line);
    return line;
  }

  /** The line whose turn it is, with its owner. */
  get next(): readonly [Key, Item] | undefined {
    const first = this.#lines.entries().next();
    return first.done === true ? undefined : first.value;
  }

  /** Moves a line that was served behind the others, or removes it if it is empty. */
  served(key: Key, isEmpty: boolean): void {
    const line = this.#lines.get(key);
    if (line === undefined) return;
    this.#lines.delete(key);
    if (!isEmpty) this.#lines.set(key, line);
  }
}

/** The owner of an item: the queue takes turns between addresses, and within one address between peers. */
export interface QueueOwner {
  /** The client's address; for IPv6 the whole site (/48). */
  readonly address: string;
  /** The unverified identity that the client claims: it only sorts the entries of the client's own address. */
  readonly peer: string;
}

interface AddressLines<Item> {
  readonly peers: Turntable<string, Line<Item>>;
  length: number;
}

/**
 * A queue that is fair between addresses, and within an address between peers (SPEC BU1): an owner's single entry waits for one
 * entry of each other owner, not for all entries of one owner.
 */
export class FairQueue<Item> {
  readonly #addresses = new Turntable<string, AddressLines<Item>>(() => ({
    peers: new Turntable<string, Line<Item>>(() => new Line<Item>()),
    length: 0,
  }));
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The item that {@link take} returns next. */
  get first(): Item | undefined {
    return this.#addresses.next?.[1].peers.next?.[1].first;
  }

  push({ address, peer }: QueueOwner, item: Item): void {
    const lines = this.#addresses.lineOf(address);
    lines.peers.lineOf(peer).push(item);
    lines.length += 1;
    this.#length += 1;
  }

  take(): Item | undefined {
    const next = this.#addresses.next;
    if (next === undefined) return undefined;
    const [address, lines] = next;
    const nextPeer = lines.peers.next;
    if (nextPeer === undefined) return undefined;
    const [peer, line] = nextPeer;
    const item = line.take();
    lines.peers.served(peer, line.length === 0);
    lines.length -= 1;
    this.#addresses.served(address, lines.length === 0);
    this.#length -= 1;
    return item;
  }
}
