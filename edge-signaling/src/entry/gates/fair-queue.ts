/** One after the other, without moving what waits behind it each time that one leaves. */
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
 * Lines of several owners that are served in turn: one of each, and then again. Within a line the first comes first. Taking
 * and adding cost the same however many wait.
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

  /** Whose turn it is. */
  get next(): readonly [Key, Item] | undefined {
    const first = this.#lines.entries().next();
    return first.done === true ? undefined : first.value;
  }

  /** Puts a line that was served behind the others, or out where nobody waits in it. */
  served(key: Key, isEmpty: boolean): void {
    const line = this.#lines.get(key);
    if (line === undefined) return;
    this.#lines.delete(key);
    if (!isEmpty) this.#lines.set(key, line);
  }
}

/** Who waits in a queue: in turn by address, and within one address by peer. */
export interface QueueOwner {
  /** Of IPv6 the whole site (/48). */
  readonly address: string;
  /** Whom the client claims to be: it only sorts the entries of its own address. */
  readonly peer: string;
}

interface AddressLines<Item> {
  readonly peers: Turntable<string, Line<Item>>;
  length: number;
}

/**
 * A queue that is fair between addresses, and within an address between peers (SPEC BU1): who has one entry waits for as
 * many others as there are owners, not for all that one owner has put in.
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

  /** The one that {@link take} gives next. */
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
