import { z } from 'zod';
import { MEDIA_NODE_ID } from '../protocol/ids.ts';
import { PORT_SLICE, slicesOverlap } from '../registry/registry.ts';
import type { AnnounceResult, MediaNodeRecord } from '../registry/registry.ts';
import type { ConsulClient } from './consul-client.ts';
import type { ServiceKind } from './services.ts';

const GRANTED: AnnounceResult = { refused: null };

/** One slice under an announced address; it counts as long as its session lives. */
const SLICE_ENTRY = z.object({ mediaNodeId: MEDIA_NODE_ID, session: z.string(), portSlice: PORT_SLICE });
type SliceEntry = z.infer<typeof SLICE_ENTRY>;
const SLICE_BOOK = z.array(SLICE_ENTRY);

const ID_HOLDER = z.object({ incarnation: z.string() });

const idKey = (kind: ServiceKind, id: string): string => `plenary/ids/${kind}/${id}`;
const sliceKey = (announcedAddress: string): string =>
  `plenary/slices/${encodeURIComponent(announcedAddress)}`;

/** What claims need of Consul. */
type KeyValueStore = Pick<
  ConsulClient,
  'readKey' | 'acquireKey' | 'compareAndSet' | 'sessionLives' | 'destroySession'
>;

/** Whose id is claimed, under which session. */
export interface IdClaim {
  readonly kind: ServiceKind;
  readonly id: string;
  readonly incarnation: string;
  readonly session: string;
}

/** The slice of ports that a media node claims. */
export type SliceClaim = Pick<MediaNodeRecord, 'mediaNodeId' | 'announcedAddress' | 'portSlice'>;

/**
 * Who owns which id and which ports, in Consul's KV store. An id is a key that a session holds; the slices of one
 * announced address are one key, changed by compare-and-set, whose entries count while their sessions live. A session ends
 * with the check of its service, so that a claim lapses with the lease and costs no write to renew.
 */
export class Claims {
  readonly #client: KeyValueStore;
  readonly #onMalformed: (detail: string) => void;

  /** @param onMalformed - told of a value that does not parse, which is taken for empty */
  constructor(client: KeyValueStore, onMalformed: (detail: string) => void) {
    this.#client = client;
    this.#onMalformed = onMalformed;
  }

  /** Whether another incarnation holds the id in a datacenter; in the local one if none is named. */
  async isIdHeld(claim: Omit<IdClaim, 'session'>, dc?: string): Promise<boolean> {
    const holder = await this.#client.readKey(idKey(claim.kind, claim.id), dc);
    return holder?.session !== undefined && !this.#isOwn(holder.value, claim);
  }

  /** Takes the id in the local datacenter. */
  async claimId(claim: IdClaim): Promise<AnnounceResult> {
    const key = idKey(claim.kind, claim.id);
    const value = JSON.stringify({ incarnation: claim.incarnation });
    for (;;) {
      if (await this.#client.acquireKey(key, value, claim.session)) return GRANTED;
      const holder = await this.#client.readKey(key);
      if (holder?.session === undefined) continue;
      if (!this.#isOwn(holder.value, claim)) return { refused: 'id_taken' };
      // A session of our own whose creation was not answered, or that an outage kept us from ending.
      await this.#client.destroySession(holder.session);
    }
  }

  /** Takes a slice in the local datacenter. */
  async claimSlice(
    { mediaNodeId, announcedAddress, portSlice }: SliceClaim,
    session: string,
  ): Promise<AnnounceResult> {
    return this.#changeBook(announcedAddress, (book) => {
      const others = book.filter((entry) => entry.session !== session);
      const clash = others.find((entry) => slicesOverlap(entry.portSlice, portSlice));
      return clash === undefined
        ? { book: [...others, { mediaNodeId, session, portSlice }], result: GRANTED }
        : { book: undefined, result: overlapWith(clash) };
    });
  }

  /** Whose living slice in another datacenter overlaps. */
  async sliceElsewhere({ announcedAddress, portSlice }: SliceClaim, dc: string): Promise<AnnounceResult> {
    const { book } = await this.#readBook(announcedAddress, dc);
    const clash = book.find((entry) => slicesOverlap(entry.portSlice, portSlice));
    return clash === undefined ? GRANTED : overlapWith(clash);
  }

  /** Takes the entry of a session out of the book. */
  async releaseSlice(announcedAddress: string, session: string): Promise<void> {
    await this.#changeBook(announcedAddress, (book) => ({
      book: book.filter((entry) => entry.session !== session),
      result: undefined,
    }));
  }

  /**
   * Changes the living entries of one announced address by compare-and-set: `decide` is asked again with what is there
   * then when somebody else was first. A `book` that is undefined changes nothing.
   */
  async #changeBook<Result>(
    announcedAddress: string,
    decide: (book: readonly SliceEntry[]) => {
      readonly book: readonly SliceEntry[] | undefined;
      readonly result: Result;
    },
  ): Promise<Result> {
    const key = sliceKey(announcedAddress);
    for (;;) {
      const { book, index } = await this.#readBook(announcedAddress);
      const decided = decide(book);
      if (decided.book === undefined) return decided.result;
      if (await this.#client.compareAndSet(key, JSON.stringify(decided.book), index)) return decided.result;
    }
  }

  /** The entries whose sessions live; a session that has ended does not come back, so dropping its entry is safe. */
  async #readBook(
    announcedAddress: string,
    dc?: string,
  ): Promise<{ readonly book: readonly SliceEntry[]; readonly index: number }> {
    const found = await this.#client.readKey(sliceKey(announcedAddress), dc);
    if (found === undefined) return { book: [], index: 0 };
    const entries = this.#parse(SLICE_BOOK, found.value) ?? [];
    const live = await Promise.all(entries.map(({ session }) => this.#client.sessionLives(session, dc)));
    return { book: entries.filter((_, position) => live[position] === true), index: found.index };
  }

  #isOwn(value: string, { incarnation }: Pick<IdClaim, 'incarnation'>): boolean {
    return this.#parse(ID_HOLDER, value)?.incarnation === incarnation;
  }

  #parse<Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema> | undefined {
    const parsed = z.string().transform(parseJson).pipe(schema).safeParse(text);
    if (parsed.success) return parsed.data;
    this.#onMalformed(z.prettifyError(parsed.error));
    return undefined;
  }
}

const overlapWith = ({ mediaNodeId, portSlice }: SliceEntry): AnnounceResult => ({
  refused: 'port_slice_overlap',
  by: mediaNodeId,
  portSlice,
});

function parseJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue('is not JSON');
    return z.NEVER;
  }
}
