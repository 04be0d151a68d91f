import { mintIncarnation } from '@plenary/cluster';
import type { MediaNodeRecord } from '@plenary/cluster';
import type { Incarnation } from '@plenary/cluster/ids';
import { mediaNode, mediaNodeRecord } from '@plenary/cluster/testing/samples';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ScriptedLink } from '../testing/edge-parts.ts';
import { NODE_LOST_AFTER_MS } from './link-trouble.ts';
import type { ControlLinkListener } from './control-link.ts';
import type { LinkLoss } from './link-trouble.ts';
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

  get isAwaited(): boolean {
    return this.#waiters.size > 0;
  }

  whenUp(withinMs: number): Promise<boolean> {
    return this.#waiters.wait(withinMs);
  }

  close(): void {
    this.isClosed = true;
    this.#waiters.finish();
  }
}

/** The same life of a node, as often as it is announced. */
const INCARNATION = mintIncarnation();
const announced = (name: string, changes: Partial<MediaNodeRecord> = {}): MediaNodeRecord =>
  mediaNodeRecord(name, { incarnation: INCARNATION, ...changes });

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
    links.reconcile([announced('a'), announced('b')]);
    const [first, other] = [linkTo('a'), linkTo('b')];
    links.reconcile([announced('a', { controlUrl: 'http://elsewhere:1' }), announced('b')]);
    expect(first.isClosed).toBe(true);
    expect(linkTo('a').controlUrl).toBe('http://elsewhere:1');
    expect(linkTo('b')).toBe(other);
    expect(links.all()).toHaveLength(2);
  });

  it('[CL26] stay while they are up, whatever address the registry then names', () => {
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

  it('[CL12] are tried in turns where very many nodes are announced that prove nothing, and those that are up stay', () => {
    const { links, linkTo } = openLinks();
    const real = [mediaNodeRecord('real-1'), mediaNodeRecord('real-2')];
    links.reconcile(real);
    for (const { mediaNodeId } of real) linkTo(mediaNodeId).up();
    linkTo('real-2').down(400);
    const kept = [linkTo('real-1'), linkTo('real-2')];
    const forged = Array.from({ length: 300 }, (_, index) => mediaNodeRecord(`aa-${index}`));
    const late = mediaNodeRecord('zz-late');
    const tried = new Set<string>();
    for (let turn = 0; turn < 5; turn += 1) {
      links.reconcile([...forged, ...real, late]);
      const unproven = links.all().filter((link) => !kept.includes(link));
      expect(unproven).toHaveLength(64);
      expect(links.lost(3_000)).toHaveLength(301 - 64);
      for (const link of unproven) {
        tried.add(link.mediaNodeId);
        link.downMs = 4_999;
      }
      links.reconcile([...forged, ...real, late]);
      expect(links.all().filter((link) => !kept.includes(link))).toEqual(unproven);
      for (const link of unproven) link.downMs = 5_000;
    }
    // Everybody has had a turn before somebody has a second one.
    expect(tried.size).toBe(301);
    expect(links.all()).toEqual(expect.arrayContaining(kept));
    // Nodes that are announced no more make room at once for one that waits, and are forgotten after a while.
    links.reconcile([...real, late]);
    expect(links.get(late.mediaNodeId)).toBeDefined();
    for (const link of links.all())
      if (!kept.includes(link) && link.mediaNodeId !== late.mediaNodeId) link.downMs = 30_000;
    links.reconcile([...real, late]);
    linkTo('zz-late').up();
    expect(links.lost(3_000)).toEqual([]);
  });

  it('[CL31] come up one after the other where very many nodes are announced: who is up makes room at once', () => {
    const { links, linkTo } = openLinks();
    const nodes = Array.from({ length: 150 }, (_, index) => announced(`node-${index}`));
    links.reconcile(nodes);
    expect(links.all()).toHaveLength(64);
    for (let up = 0; up < nodes.length; up += 1) {
      const next = links.all().find((link) => !link.isUp);
      if (next === undefined) throw new Error(`Nothing was opened after ${up} links.`);
      linkTo(next.mediaNodeId).up();
    }
    expect(links.all().every(({ isUp }) => isUp)).toBe(true);
    expect([links.all().length, links.lost(3_000)]).toEqual([150, []]);
  });

  it('[CL13] are opened at once for who needs one, ahead of the turns, and kept for as long as it is waited for', async () => {
    const { links, linkTo } = openLinks();
    const nodes = Array.from({ length: 150 }, (_, index) => announced(`node-${index}`));
    links.reconcile(nodes);
    const waiting = links.lost(3_000);
    const [sought, other] = waiting;
    if (sought === undefined || other === undefined) throw new Error('Nobody waits.');
    const reached = links.reach(sought, 30_000);
    const reachedToo = links.reach(sought, 30_000);
    const link = linkTo(sought);
    expect(links.all()).toHaveLength(65);
    expect(links.lost(3_000)).not.toContain(sought);
    // Its time is over, and others wait for a turn.
    for (const one of links.all()) one.downMs = 5_000;
    links.reconcile(nodes);
    expect([link.isClosed, linkTo(sought)]).toEqual([false, link]);
    link.up();
    expect([await reached, await reachedToo]).toEqual([link, link]);

    // One that does not come up in its time goes as the others do.
    const refused = expect(links.reach(other, 1_000)).rejects.toMatchObject({ code: 'media_unavailable' });
    const silent = linkTo(other);
    await vi.advanceTimersByTimeAsync(1_000);
    await refused;
    for (const one of links.all()) if (!one.isUp) one.downMs = 5_000;
    links.reconcile(nodes);
    expect(silent.isClosed).toBe(true);
    await expect(links.reach(mediaNode('never-announced'), 1_000)).rejects.toMatchObject({
      code: 'media_unavailable',
    });
  });

  it('[CL11] are opened at once to a node that was started anew, which counts as lost no longer', async () => {
    const { links, linkTo, told } = openLinks();
    const [before, after] = [mintIncarnation(), mintIncarnation()];
    const announce = (incarnation: Incarnation): void =>
      links.reconcile([announced('a', { incarnation }), announced('b')]);
    announce(before);
    const first = linkTo('a');
    first.up();
    announce(before);
    first.down(2_000, 'refused');
    // The record of its last life, which has not lapsed yet.
    announce(before);
    expect([linkTo('a'), links.lost(1_500)]).toEqual([first, ['a']]);

    announce(after);
    const second = linkTo('a');
    expect([first.isClosed, links.lost(1_500)]).toEqual([true, []]);
    // It is given time, as one that hiccups, and not opened anew each second.
    expect([links.unusable(), links.wasUsable()]).toEqual([undefined, true]);
    announce(after);
    expect(linkTo('a')).toBe(second);
    const reached = links.reach(mediaNode('a'), 1_500);
    second.up();
    expect(await reached).toBe(second);
    expect(told).toEqual(['up a', 'down a refused', 'up a']);
    // One whose link is up already is left alone, whatever is announced, and its next loss is a loss.
    announce(before);
    second.down(2_000, 'refused');
    announce(before);
    expect([linkTo('a'), links.lost(1_500)]).toEqual([second, ['a']]);
  });

  it('stay to a node that is announced no more, until it was not reachable for 30 s', () => {
    const { links, linkTo } = openLinks();
    links.reconcile([announced('a')]);
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
    links.reconcile([announced('a'), announced('b')]);
    linkTo('a').up();
    expect(counted.at(-1)).toEqual({ up: 1, down: 1 });
    linkTo('a').down(0);
    expect(counted.at(-1)).toEqual({ up: 0, down: 2 });
    expect(told).toEqual(['up a', 'down a broken']);
  });

  it('are waited for while they are not down for too long already', async () => {
    const { links, linkTo } = openLinks();
    links.reconcile([announced('a')]);
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
      links.reconcile([announced('a')]);
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

  it('[HL24] are of no use before the first is up, and again when all have been down for a while', () => {
    const { links, linkTo } = openLinks();
    expect(links.unusable()).toBeUndefined();
    links.reconcile([announced('a'), announced('b')]);
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
    links.reconcile([announced('a')]);
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
