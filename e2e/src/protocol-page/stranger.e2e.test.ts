/** A client that knows only docs/protocol.md, on a cluster of real processes (SPEC PR8). */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CLAIMS } from './claims.ts';
import { byPrivateKey, fields, isNewer, list } from './page-client.ts';
import type { PageClient } from './page-client.ts';
import { Strangers } from './stranger.ts';

/** More peers than fit on one page of the roster. */
const OTHERS = 103;
const JOINS_AT_ONCE = 10;

describe('a client written from the page alone', () => {
  let cluster: LocalCluster;
  let strangers: Strangers;
  let directory: string;

  beforeAll(async () => {
    const published = publishKeys();
    directory = published.directory;
    cluster = await startLocalCluster({
      edges: 2,
      edge: () => ({ env: { PLENARY_JOIN_KEYS: `school=${published.path}` } }),
      mediaNodes: 1,
      guests: true,
      readyTimeoutMs: 100_000,
      env: { PLENARY_LOG_LEVEL: 'warn' },
    });
    const { apiKey, apiSecret } = cluster;
    strangers = new Strangers({
      edgeUrls: cluster.edges.map(({ publicUrl }) => publicUrl),
      apiKey,
      apiSecret,
      applications: published.applications,
    });
  });

  afterEach(() => strangers.closeAll());
  afterAll(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true });
  });

  it('[PR8] joins, receives events, chats, requests missing events, resumes with a proof, and leaves', async () => {
    const roomId = 'strangers';
    const bob = await strangers.join({ roomId, displayName: 'Bob' });
    const ann = await strangers.join({ roomId, displayName: 'Ann' }, {}, 1);
    expect(list(ann.room['peers']).map(({ displayName }) => displayName)).toEqual(['Bob', 'Ann']);
    const joined = await bob.client.notice('event', (notice) => isOf(notice, 'peer.joined', 'Ann'));
    expect(fields(joined['event'])['peer']).toMatchObject({ peerId: ann.session['peerId'], role: 'speaker' });

    const posted = await ann.client.call('chat.post', { requestId: 'm-1', text: 'hello' });
    expect(await ann.client.call('chat.post', { requestId: 'm-1', text: 'hello' })).toEqual(posted);
    await bob.client.notice('event', (notice) => isOf(notice, 'chat.posted'));
    expectOneOrder(bob.client, String(bob.room['lastEventId']));
    const caughtUp = await bob.client.call('sync', { afterEventId: bob.room['lastEventId'] });
    expect(caughtUp['type']).toBe('events');
    expect(list(caughtUp['events']).map(({ event }) => fields(event)['type'])).toEqual([
      'peer.joined',
      'chat.posted',
    ]);

    // Ann's connection breaks; her resume on the other edge brings the events that she missed.
    const lastEventId = String(list(caughtUp['events']).at(-1)?.['id']);
    ann.client.close();
    await bob.client.call('chat.post', { requestId: 'm-2', text: 'are you there?' });
    const again = await strangers.connect(0);
    const resumed = await again.call('resume', await strangers.resumePayload(ann, again, { lastEventId }));
    expect(resumed).toMatchObject({
      session: { peerId: ann.session['peerId'], roomId },
      catchUp: { type: 'events', events: [{ previousId: lastEventId, event: { type: 'chat.posted' } }] },
      mediaAlive: true,
    });
    const { sessionToken } = fields(resumed['session']);
    expect(await again.call('session.confirm', { sessionToken })).toEqual({});
    const thief = await strangers.connect(1);
    expect(await thief.codeOf('resume', await strangers.resumePayload(ann, thief))).toBe('token_replayed');

    const head = await again.notice('head', ({ lastEventId: id }) => isNewer(String(id), lastEventId));
    expect(head).toEqual({ lastEventId: expect.stringMatching(/^\d+-\d+$/) as string });
    expect(await again.call('leave', {})).toEqual({});
    const left = await bob.client.notice('event', (notice) => isOf(notice, 'peer.left'));
    expect(left['event']).toEqual({ type: 'peer.left', peerId: ann.session['peerId'], reason: 'left' });
    expect(await again.codeOf('join', await strangers.joinPayload({ roomId }))).toBe('ok');
  });

  it('[PR8] pages the roster', async () => {
    const roomId = 'crowd';
    const first = await strangers.join({ roomId, displayName: 'First' });
    let left = OTHERS;
    const joinSome = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await strangers.join({ roomId, displayName: `Other ${left}` });
      }
    };
    await Promise.all(Array.from({ length: JOINS_AT_ONCE }, joinSome));
    const last = await strangers.join({ roomId, displayName: 'Last' });
    expect(last.room['peerCount']).toBe(OTHERS + 2);
    const seen = list(last.room['peers']).map(({ displayName }) => displayName);
    expect(seen).toHaveLength(100);
    for (let cursor = last.room['nextCursor']; cursor !== undefined;) {
      const page = await last.client.call('roster.page', { cursor });
      seen.push(...list(page['peers']).map(({ displayName }) => displayName));
      cursor = page['nextCursor'];
    }
    expect(new Set(seen).size).toBe(OTHERS + 2);
    expect([seen[0], seen.at(-1)]).toEqual(['First', 'Last']);
    const whole = await first.client.call('roster.page', { cursor: '' });
    expect(list(whole['peers'])).toEqual(list(last.room['peers']));
  });

  describe('finds each claim of the page true', () => {
    it.each(CLAIMS)('[PR9] $sentence', async ({ attempt, expected }) => {
      expect(await attempt(strangers)).toEqual(expected);
    });
  });
});

/** Creates an application that publishes its keys. */
function publishKeys() {
  const directory = mkdtempSync(join(tmpdir(), 'plenary-keys-'));
  const pairs = {
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: generateKeyPairSync('ed25519'),
  };
  const applications = {
    ES256: byPrivateKey('school', 'ES256', pairs.ES256.privateKey),
    EdDSA: byPrivateKey('school', 'EdDSA', pairs.EdDSA.privateKey),
  };
  const keys = (['ES256', 'EdDSA'] as const).map((alg) => ({
    ...pairs[alg].publicKey.export({ format: 'jwk' }),
    kid: applications[alg].keyId,
  }));
  const path = join(directory, 'keys.json');
  writeFileSync(path, JSON.stringify({ keys }));
  return { directory, path, applications };
}

function isOf(notice: Readonly<Record<string, unknown>>, type: string, displayName?: string): boolean {
  const event = fields(notice['event']);
  if (event['type'] !== type) return false;
  return displayName === undefined || fields(event['peer'])['displayName'] === displayName;
}

/** Expects that each event names the one before it, as a client does that applies events in order. */
function expectOneOrder(client: PageClient, lastEventId: string): void {
  const events = client.noticesOf('event').filter(({ id }) => isNewer(String(id), lastEventId));
  const previous = [lastEventId, ...events.map(({ id }) => id)].slice(0, -1);
  expect(events.map(({ previousId }) => previousId)).toEqual(previous);
}
