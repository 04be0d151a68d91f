import { mintIncarnation } from '@plenary/cluster';
import type { MediaNodeRecord } from '@plenary/cluster';
import { mediaNode, mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ScriptedLink } from '../testing/edge-parts.ts';
import { NODE_LOST_AFTER_MS } from './control-link.ts';
import type { ControlLinkListener, LinkLoss } from './control-link.ts';
import { ControlLinks } from './control-links.ts';
import type { OwnedLink } from './control-links.ts';
import { UpWaiters } from './up-waiters.ts';

/** A link that is up and down when a test says so. */
class SwitchedLink extends ScriptedLink implements OwnedLink {
  readonly controlUrl: string;
  readonly #listener: ControlLinkListener;
  readonly #waiters = new UpWaiters(() => this.isUp);
  override isUp = false;
  isClosed = false;
  downMs = 0;
  readonly trouble = 'other_secret';

  constructor(node: Pick<MediaNodeRecord, 'mediaNodeId' | 'controlUrl'>, listener: ControlLinkListener) {
    super(node.mediaNodeId);
    this.controlUrl = node.controlUrl;
    this.#listener = listener;
  }

  up(): void {
    this.isUp = true;
    this.downMs = 0;
    this.#listener.onUp(this, mintIncarnation());
    this.#waiters.finish();
  }

  down(sinceMs: number, why: LinkLoss = 'broken'): void {
    this.isUp = false;
    this.downMs = sinceMs;
    this.#listener.onDown(this, why);
  }

  downForMs(): number {
    return this.downMs;
  }

  whenUp(withinMs: number): Promise<boolean> {
    return this.#waiters.wait(withinMs);
  }

  close(): void {
    this.isClosed = true;
    this.#waiters.finish();
  }
}

function openLinks() {
  const told: string[] = [];
  const counted: { up: number; down: number }[] = [];
  const unexpected = (): never => {
    throw new Error('Nobody says this.');
  };
  const links = new ControlLinks({
    open: (node, listener) => new SwitchedLink(node, listener),
    listener: {
      onUp: ({ mediaNodeId }) => told.push(`up ${mediaNodeId}`),
      onDown: ({ mediaNodeId }, why) => told.push(`down ${mediaNodeId} ${why}`),
      onRoomEvents: unexpected,
      onSpeakers: unexpected,
      onConsumerClosed: unexpected,
      onConsumerSuperseded: unexpected,
      onTrackDemand: unexpected,
      onPublishingLimited: unexpected,
      onPeerLost: unexpected,
      onPeerUnreached: unexpected,
      onPeerMove: unexpected,
    },
    count: (state) => counted.push(state),
  });
  const linkTo = (name: string): SwitchedLink => {
    const link = links.get(mediaNode(name));
    if (link === undefined) throw new Error(`There is no link to ${name}.`);
    return link;
  };
  return { links, linkTo, told, counted };
}

describe('the links to media nodes', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are one to each announced node, and a new one where it listens elsewhere', () => {
    const { links, linkTo } = openLinks();
    links.reconcile([mediaNodeRecord('a'), mediaNodeRecord('b')]);
    const [first, other] = [linkTo('a'), linkTo('b')];
    links.reconcile([mediaNodeRecord('a', { controlUrl: 'http://elsewhere:1' }), mediaNodeRecord('b')]);
    expect(first.isClosed).toBe(true);
    expect(linkTo('a').controlUrl).toBe('http://elsewhere:1');
    expect(linkTo('b')).toBe(other);
    expect(links.all()).toHaveLength(2);
  });

  it('[CL9] stay while they are up, whatever address the registry then names', () => {
    const { links, linkTo, told } = openLinks();
    links.reconcile([mediaNodeRecord('a')]);
    const link = linkTo('a');
    link.up();
    const forged = [mediaNodeRecord('a', { controlUrl: 'http://mallory:1' })];
    links.reconcile(forged);
    expect(link.isClosed).toBe(false);
    expect(linkTo('a')).toBe(link);
    expect(told).toEqual(['up a']);
    link.down(0);
    links.reconcile(forged);
    expect(link.isClosed).toBe(true);
    expect(linkTo('a').controlUrl).toBe('http://mallory:1');
  });

  it('stay to a node that is announced no more, until it was not reachable for 30 s', () => {
    const { links, linkTo } = openLinks();
    links.reconcile([mediaNodeRecord('a')]);
    const link = linkTo('a');
    link.down(29_999);
    links.reconcile([]);
    expect(link.isClosed).toBe(false);
    link.down(30_000);
    links.reconcile([]);
    expect(link.isClosed).toBe(true);
    expect(links.all()).toEqual([]);
  });

  it('are counted before anybody hears that one is up or down', () => {
    const { links, linkTo, told, counted } = openLinks();
    links.reconcile([mediaNodeRecord('a'), mediaNodeRecord('b')]);
    linkTo('a').up();
    expect(counted.at(-1)).toEqual({ up: 1, down: 1 });
    linkTo('a').down(0);
    expect(counted.at(-1)).toEqual({ up: 0, down: 2 });
    expect(told).toEqual(['up a', 'down a broken']);
  });

  it('are waited for while they are not down for too long already', async () => {
    const { links, linkTo } = openLinks();
    links.reconcile([mediaNodeRecord('a')]);
    await expect(links.reach(mediaNode('b'), 1_000)).rejects.toMatchObject({ code: 'media_unavailable' });
    const reached = links.reach(mediaNode('a'), 1_000);
    linkTo('a').up();
    expect(await reached).toBe(linkTo('a'));
    expect(vi.getTimerCount()).toBe(0);

    linkTo('a').down(100);
    await expect(links.reach(mediaNode('a'), 100)).rejects.toMatchObject({ code: 'media_unavailable' });
    expect(links.lost(100)).toEqual(['a']);
    expect(links.lost(101)).toEqual([]);
  });

  it.each(['broken', 'silent', 'refused'] as const)(
    '[CL3] are not waited for, whoever has the time, once the node counts as lost: %s',
    async (why) => {
      const { links, linkTo } = openLinks();
      links.reconcile([mediaNodeRecord('a')]);
      linkTo('a').up();
      linkTo('a').down(0, why);
      const lost = expect(links.reach(mediaNode('a'), 60_000)).rejects.toMatchObject({
        code: 'media_unavailable',
      });
      await vi.advanceTimersByTimeAsync(NODE_LOST_AFTER_MS[why]);
      await lost;
      linkTo('a').down(NODE_LOST_AFTER_MS[why], why);
      expect(links.lost(60_000)).toEqual(['a']);
      linkTo('a').up();
      expect(links.lost(0)).toEqual([]);
    },
  );

  it('[HL6] are of no use before the first is up, and again when all have been down for a while', () => {
    const { links, linkTo } = openLinks();
    expect(links.unusable()).toBeUndefined();
    links.reconcile([mediaNodeRecord('a'), mediaNodeRecord('b')]);
    expect(links.unusable()).toEqual(['other_secret']);
    expect(links.wasUsable()).toBe(false);
    linkTo('a').up();
    expect(links.unusable()).toBeUndefined();
    linkTo('a').down(2_999);
    expect(links.unusable()).toBeUndefined();
    linkTo('a').down(3_000);
    expect(links.unusable()).toEqual(['other_secret']);
    expect(links.wasUsable()).toBe(true);
  });

  it('that are closed, or do not come up in time, are waited for no longer', async () => {
    const { links } = openLinks();
    links.reconcile([mediaNodeRecord('a')]);
    const refused = { code: 'media_unavailable' };
    const late = expect(links.reach(mediaNode('a'), 1_000)).rejects.toMatchObject(refused);
    await vi.advanceTimersByTimeAsync(1_000);
    await late;
    const closed = expect(links.reach(mediaNode('a'), 1_000)).rejects.toMatchObject(refused);
    links.closeAll();
    await closed;
    expect(vi.getTimerCount()).toBe(0);
  });
});
