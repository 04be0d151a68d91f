import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TENANT_ID } from '@plenary/cluster';
import { TestSessionKey } from '@plenary/cluster/testing/session-key';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TEST_API_KEY, testRoom } from './testing/edge-process.ts';
import { joinRequest, testToken } from './testing/test-client.ts';
import type { TestClient } from './testing/test-client.ts';
import { TestCluster } from './testing/test-cluster.ts';
import { waitFor } from './testing/wait-for.ts';

const TENANT = TENANT_ID.parse(TEST_API_KEY);
const PUBLISHER = 'publisher';
const first = generateKeyPairSync('ed25519');
const second = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** The application's own web server. */
class Publisher {
  keys: object[] = [{ ...first.publicKey.export({ format: 'jwk' }), kid: 'first' }];
  isUp = true;
  readings = 0;
  readonly #server = createServer((_request, response) => {
    this.readings += 1;
    if (this.isUp) response.end(JSON.stringify({ keys: this.keys }));
    else response.writeHead(503).end();
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/jwks.json`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

const publisher = new Publisher();
let cluster: TestCluster;

beforeAll(async () => {
  const url = await publisher.start();
  cluster = await TestCluster.start({
    edges: 2,
    mediaNodes: 1,
    edgeSettings: { PLENARY_JOIN_KEYS: `${PUBLISHER}=${url}`, PLENARY_PEERS_PER_PERSON: '2' },
  });
});
afterAll(async () => {
  await cluster.stop();
  await publisher.stop();
});
afterEach(() => cluster.closeClients());

/** What comes back by a rejoin token, on a connection of its own. */
async function rejoinRequest(client: TestClient, key: TestSessionKey, room: string, rejoinToken: string) {
  const proof = await key.proveRejoin(client.socket.id ?? '', rejoinToken);
  return joinRequest(room, { token: rejoinToken, proof, sessionKey: key.jwk });
}

describe('coming back', () => {
  it('[RJ1] who left comes back on another edge, with the role and the rights of the join token', async () => {
    const ann = await cluster.client();
    const token = await testToken('back', { role: 'moderator', sub: 'ann', publish: ['microphone'] });
    const { session } = await ann.join('back', { token });
    await ann.call('leave', {});
    const again = await cluster.client(1);
    const request = await rejoinRequest(again, ann.key, 'back', session.rejoinToken ?? '');
    const back = await again.call('join', { ...request, displayName: 'Ann B.' });
    expect(back.session).toMatchObject({ role: 'moderator', displayName: 'Ann B.' });
    expect(back.session.peerId).not.toBe(session.peerId);
    const camera = {
      requestId: 'c',
      transportId: back.media.sendTransport?.id,
      kind: 'video',
      source: 'camera',
    };
    expect(
      await again.verdict('track.publish', { ...camera, rtpParameters: { codecs: [] }, paused: false }),
    ).not.toBe('ok');
    // And once more by what came with that.
    const third = await cluster.client();
    const once = await rejoinRequest(third, ann.key, 'back', back.session.rejoinToken ?? '');
    expect((await third.call('join', once)).session.role).toBe('moderator');
  });

  it('[RJ14] an application may name its people as it likes, and says by a claim who is a guest', async () => {
    const sub = 'guest-of-honour';
    const ann = await cluster.client();
    const { session } = await ann.join('honour', { token: await testToken('honour', { sub }) });
    expect(session.rejoinToken).toBeDefined();
    const bob = await cluster.client();
    const guest = await bob.join('honour', { token: await testToken('honour', { sub: 'bob', guest: true }) });
    expect(guest.session.rejoinToken).toBeUndefined();
  });

  it('[RJ2] a rejoin token is of no use without its key, on another connection, in another room or as a join token', async () => {
    const [ann, thief] = [await cluster.client(), await cluster.client()];
    const { session } = await ann.join('stolen');
    const { rejoinToken = '' } = session;
    const own = await rejoinRequest(ann, ann.key, 'stolen', rejoinToken);
    const key = await TestSessionKey.create();
    const refused = async (changes: object): Promise<string> => thief.verdict('join', { ...own, ...changes });
    // Recorded on Ann's connection.
    expect(await refused({})).toBe('proof_invalid');
    const forged = await key.proveRejoin(thief.socket.id ?? '', rejoinToken);
    expect(await refused({ proof: forged })).toBe('proof_invalid');
    expect(await refused({ proof: forged, sessionKey: key.jwk })).toBe('proof_invalid');
    expect(await refused({ proof: undefined })).toBe('token_invalid');
    const proof = await ann.key.proveRejoin(thief.socket.id ?? '', rejoinToken);
    expect(await refused({ proof, roomId: 'elsewhere' })).toBe('token_wrong_room');
    const resumeProof = await ann.key.prove(thief.socket.id ?? '', rejoinToken);
    expect(await refused({ proof: resumeProof })).toBe('proof_invalid');
    const asSession = {
      protocolVersion: 1,
      roomId: 'stolen',
      sessionToken: rejoinToken,
      proof,
      lastEventId: '0-0',
    };
    expect(await thief.verdict('resume', asSession)).toBe('token_invalid');
    const other = await cluster.client(1);
    const asRejoin = await other.verdict('join', { ...own, token: session.sessionToken, proof });
    expect(asRejoin).toBe('token_invalid');
    const joinToken = await testToken('stolen');
    expect(await other.verdict('join', { ...own, token: joinToken, proof })).toBe('token_invalid');
  });

  it('[RJ16] who was removed comes back by neither token, and others do', async () => {
    const [ann, ben] = [await cluster.client(), await cluster.client()];
    const annToken = await testToken('kicked', { sub: 'ann' });
    const { session } = await ann.join('kicked', { token: annToken });
    const others = await ben.join('kicked', { token: await testToken('kicked', { sub: 'ben' }) });
    await cluster.store.tenants.revoke(
      TENANT,
      { roomId: testRoom('kicked'), subject: 'ann' },
      86_400_000,
      false,
    );
    await Promise.all([ann.call('leave', {}), ben.call('leave', {})]);
    const [again, benAgain] = [await cluster.client(1), await cluster.client(1)];
    const request = await rejoinRequest(again, ann.key, 'kicked', session.rejoinToken ?? '');
    expect(await again.verdict('join', request)).toBe('access_revoked');
    expect(await again.verdict('join', await joinRequest('kicked', { token: annToken }))).toBe(
      'access_revoked',
    );
    const benRequest = await rejoinRequest(benAgain, ben.key, 'kicked', others.session.rejoinToken ?? '');
    await benAgain.call('join', benRequest);
  });
});

describe('one person', () => {
  it('[TK11] is in a room so often, from all edges together, and no oftener', async () => {
    const token = async (): Promise<string> => testToken('often', { sub: 'ann' });
    const clients = await Promise.all([0, 1, 0, 1].map(async (edge) => cluster.client(edge)));
    const answers = await Promise.all(
      clients.map(async (client) =>
        client.verdict('join', await joinRequest('often', { token: await token() })),
      ),
    );
    expect(answers.sort()).toEqual(['joined_too_often', 'joined_too_often', 'ok', 'ok']);
    const other = await cluster.client();
    await other.join('often', { token: await testToken('often', { sub: 'ben' }) });
    const elsewhere = await cluster.client(1);
    await elsewhere.join('not-so-often', { token: await testToken('not-so-often', { sub: 'ann' }) });
  });
});

describe('join tokens by published keys', () => {
  const sign = async (kid: string, alg: string, key: Parameters<SignJWT['sign']>[0]): Promise<string> =>
    new SignJWT({ sub: 'ann', room: 'published', role: 'speaker', publish: [] })
      .setProtectedHeader({ alg, kid })
      .setIssuer(PUBLISHER)
      .setAudience('plenary-join')
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(key);
  const outcome = async (token: string): Promise<string> =>
    (await cluster.client()).verdict('join', await joinRequest('published', { token }));

  it('[TK8] [TK10] are taken, also while the application is away, and a key that comes later within a reading', async () => {
    const byFirst = async (): Promise<string> => outcome(await sign('first', 'EdDSA', first.privateKey));
    await waitFor('the key set to be read', async () => (await byFirst()) === 'ok');
    publisher.isUp = false;
    const byUnknown = await outcome(await sign('second', 'ES256', second.privateKey));
    expect(['keys_unavailable', 'token_invalid']).toContain(byUnknown);
    expect(['ok', 'joined_too_often']).toContain(await byFirst());
    expect(publisher.readings).toBeLessThan(6);
  });

  it('[TK6] the reason goes to the client', async () => {
    const client = await cluster.client();
    const token = await sign('first', 'ES256', second.privateKey);
    const reply = await client.raw('join', await joinRequest('published', { token }));
    expect(reply).toMatchObject({
      ok: false,
      error: { detail: { reason: 'wrong_algorithm', claim: 'alg' } },
    });
  });
});

describe('without guests', () => {
  it('[RJ26] says so to whoever asks, page or program', async () => {
    const { url } = cluster.edge(0);
    const info: unknown = await (await fetch(`${url}/api/service`)).json();
    expect(info).toEqual({ guests: false, embedOrigins: [] });
    const body = JSON.stringify({ roomId: 'any', displayName: 'Ann' });
    const answer = await fetch(`${url}/api/guest-token`, { method: 'POST', body });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ error: { code: 'guests_not_allowed' } });
  });
});
