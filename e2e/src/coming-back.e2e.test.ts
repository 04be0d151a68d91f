/** People who join with an application's join tokens, with guests off, in a real browser. */
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startLocalCluster } from '@plenary/deploy/local-cluster';
import type { LocalCluster } from '@plenary/deploy/local-cluster';
import { launchChromium } from '@plenary/loadtest/browser';
import type { Browser, Frame, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openContext } from './harness/browser.ts';
import './harness/page-meeting.ts';
import { readMetric, readMetrics } from './harness/metrics.ts';
import { until } from './harness/until.ts';

/** An application's page that embeds a meeting in a frame and gives it tokens over the page’s `postMessage` protocol. */
const EMBEDDING_PAGE = `<!doctype html><title>App</title><body><script>
  const { meeting, token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  window.asked = [];
  window.answer = { token };
  addEventListener('message', ({ data, source, origin }) => {
    if (data?.type !== 'plenary.getToken' || origin !== new URL(meeting).origin) return;
    window.asked.push(data);
    source.postMessage({ type: 'plenary.token', id: data.id, ...window.answer }, origin);
  });
  const frame = document.createElement('iframe');
  frame.allow = 'camera; microphone; display-capture; autoplay';
  frame.src = meeting;
  document.body.append(frame);
</script>`;

describe('coming back with an application’s token', () => {
  let cluster: LocalCluster;
  let browser: Browser;
  let edgeUrl: string;
  let application: string;
  const pages: Page[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end(EMBEDDING_PAGE);
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    application = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    cluster = await startLocalCluster({
      edges: 1,
      mediaNodes: 1,
      guests: false,
      env: { PLENARY_LOG_LEVEL: 'warn' },
      edge: () => ({
        env: {
          PLENARY_EMBED_ORIGINS: application,
          PLENARY_PEERS_PER_PERSON: '2',
          PLENARY_RESUME_WITHIN_MS: '1000',
        },
      }),
      mediaNode: () => ({ env: { PLENARY_ORPHAN_GRACE_MS: '1000' } }),
    });
    const [edge] = cluster.edges;
    if (edge === undefined) throw new Error('the cluster has an edge');
    edgeUrl = edge.publicUrl;
    browser = await launchChromium();
  });

  afterEach(async () => {
    for (const page of pages.splice(0)) await page.context().close();
  });

  afterAll(async () => {
    await browser.close();
    await cluster.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  /** @param agoSeconds - the token's age; tokens are valid for ten minutes */
  function joinToken(room: string, role: string, agoSeconds = 0): string {
    const iat = Math.floor(Date.now() / 1_000) - agoSeconds;
    const header = { alg: 'HS256', typ: 'JWT', kid: cluster.apiKey };
    const publish = ['microphone', 'camera'];
    const who = { sub: 'ann', room, role, publish, iss: cluster.apiKey, aud: 'plenary-join' };
    const text = [header, { ...who, iat, exp: iat + 600 }]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${text}.${createHmac('sha256', cluster.apiSecret).update(text).digest('base64url')}`;
  }

  /** @param before - runs before the page's own scripts, to prepare the browser's stores */
  async function open(url: string, before?: () => void): Promise<Page> {
    const context = await openContext(browser, { permissions: ['camera', 'microphone'] });
    const page = await context.newPage();
    if (before !== undefined) await page.addInitScript(before);
    pages.push(page);
    await page.goto(url);
    return page;
  }

  async function untilFramed(page: Page, url: string): Promise<Frame> {
    const frame = await until(
      'the meeting is shown in the frame',
      () => Promise.resolve(page.frame({ url })),
      (found) => found !== null,
    );
    if (frame === null) throw new Error('no frame');
    return frame;
  }

  async function enter(page: Page | Frame, name = 'Ann'): Promise<void> {
    await page.getByTestId('name-input').fill(name);
    await page.getByTestId('join-button').click();
  }

  const selfOf = (page: Page | Frame): Promise<{ phase?: string; role?: string; peerId?: string }> =>
    page.evaluate(() => {
      const snapshot = globalThis.plenary?.getSnapshot();
      return {
        phase: snapshot?.connection.phase,
        role: snapshot?.self?.role,
        peerId: snapshot?.self?.peerId,
      };
    });
  const untilIn = (page: Page | Frame, role: string): Promise<unknown> =>
    until(
      `the page is in the room as ${role}`,
      () => selfOf(page),
      (self) => self.phase === 'joined' && self.role === role,
    );

  const endedBy = (page: Page | Frame, code: string): Promise<unknown> =>
    until(
      `the page says why it ended: ${code}`,
      () => page.getByTestId('connection-state').getAttribute('data-error'),
      (shown) => shown === code,
    );

  /** Waits until the page has stored its rejoin ticket. The page stores it after the join without waiting, so a reload could be earlier. */
  const untilTicketKept = (page: Page): Promise<unknown> =>
    until(
      'the page has stored its rejoin ticket',
      () =>
        page.evaluate(async () => {
          // Opening a database that does not exist would create it.
          if (!(await indexedDB.databases()).some(({ name }) => name === 'plenary')) return 0;
          const answerOf = <Answer>(request: IDBRequest<Answer>): Promise<Answer> =>
            new Promise((resolve, reject) => {
              request.addEventListener('success', () => resolve(request.result));
              request.addEventListener('error', () => reject(request.error ?? new Error('IndexedDB')));
            });
          const database = await answerOf(indexedDB.open('plenary'));
          try {
            return await answerOf(database.transaction('rejoin').objectStore('rejoin').count());
          } finally {
            database.close();
          }
        }),
      (tickets) => tickets === 1,
    );

  /** Replaces the token in the page's address by an expired one, as after eleven minutes. */
  const expireToken = (page: Page, room: string): Promise<void> =>
    page.evaluate((token) => history.replaceState(null, '', `#token=${token}`), joinToken(room, 'host', 660));

  it('[RJ1] [RJ5] a reload after the join token has expired rejoins with the same role', async () => {
    const page = await open(`${edgeUrl}/r/reload#token=${joinToken('reload', 'host')}`);
    await enter(page);
    await untilIn(page, 'host');
    const before = await selfOf(page);
    await untilTicketKept(page);
    await expireToken(page, 'reload');
    await page.reload();
    await enter(page, 'Ann again');
    await untilIn(page, 'host');
    expect((await selfOf(page)).peerId).not.toBe(before.peerId);
    // The ticket also works without any token in the address.
    await page.goto(`${edgeUrl}/r/reload`);
    await page.reload();
    await enter(page);
    await untilIn(page, 'host');
  });

  it('[RJ18] [RJ30] a slow browser store costs nobody their role, and one that never answers is reported', async () => {
    const page = await open(`${edgeUrl}/r/slow#token=${joinToken('slow', 'moderator')}`);
    await enter(page);
    await untilIn(page, 'moderator');
    await untilTicketKept(page);
    await page.addInitScript(() => {
      const listen = EventTarget.prototype.addEventListener;
      IDBOpenDBRequest.prototype.addEventListener = function (type: string, listener: unknown) {
        if (typeof listener !== 'function' || sessionStorage.getItem('never') !== null) return;
        listen.call(this, type, (event) => {
          setTimeout(
            () => {
              Reflect.apply(listener, this, [event]);
            },
            type === 'success' ? 3_000 : 0,
          );
        });
      };
    });
    await page.goto(`${edgeUrl}/r/slow`);
    await page.reload();
    await enter(page);
    await untilIn(page, 'moderator');
    await page.evaluate(() => sessionStorage.setItem('never', 'yes'));
    await page.reload();
    await enter(page);
    await endedBy(page, 'browser_failed');
    expect(await page.getByRole('alert').innerText()).toContain('does not say who you were');
    // Guests are not allowed here.
    expect(await page.getByTestId('join-as-guest-button').count()).toBe(0);
    await page.evaluate(() => sessionStorage.removeItem('never'));
    await page.getByTestId('rejoin-button').click();
    await enter(page);
    await untilIn(page, 'moderator');
  });

  it.each<{ readonly what: string; readonly store?: () => Promise<void>; readonly before?: () => void }>([
    {
      what: 'an invalid rejoin ticket',
      store: async () => {
        sessionStorage.setItem('plenary.tab', 'tab');
        const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
        await new Promise((resolve) => {
          const request = indexedDB.open('plenary', 1);
          request.addEventListener('upgradeneeded', () => {
            const objects = request.result.createObjectStore('rejoin');
            objects.put({ token: 'a\nb', pair, keptAtMs: Date.now() }, 'tab stores');
            objects.put({ token: 5 }, 'odd');
          });
          request.addEventListener('success', resolve);
        });
      },
    },
    {
      what: 'a database of a later release',
      store: async () => {
        sessionStorage.setItem('plenary.tab', 'tab');
        await new Promise((resolve) => {
          indexedDB.open('plenary', 99).addEventListener('success', resolve);
        });
      },
    },
    {
      what: 'a database that never answers',
      before: () => {
        sessionStorage.setItem('plenary.tab', 'tab');
        // Opens another database, and drops the request's events.
        const openOther = indexedDB.open.bind(indexedDB, 'other', 1);
        IDBFactory.prototype.open = () => {
          const request = openOther();
          request.addEventListener = () => undefined;
          return request;
        };
      },
    },
    {
      what: 'an impossible display name',
      before: () => {
        localStorage.setItem('plenary.displayName', `\u202e\u0000${'x'.repeat(5_000)}`);
        localStorage.setItem('plenary.camera', '\ud800');
        localStorage.setItem('plenary.microphoneOff', '{}');
      },
    },
  ])('[RJ12] $what in the browser’s stores does not prevent joining', async ({ store, before }) => {
    const page = await open(edgeUrl, before);
    if (store !== undefined) await page.evaluate(store);
    await page.goto(`${edgeUrl}/r/stores#token=${joinToken('stores', 'host')}`);
    const name = page.getByTestId('name-input');
    expect((await name.inputValue()).length).toBeLessThanOrEqual(64);
    await enter(page);
    await untilIn(page, 'host');
  });

  it('[RJ5] a person who left and presses "Rejoin" later keeps the role; another tab does not', async () => {
    const page = await open(`${edgeUrl}/r/again#token=${joinToken('again', 'moderator')}`);
    await enter(page);
    await untilIn(page, 'moderator');
    await expireToken(page, 'again');
    await page.getByTestId('leave-button').click();
    await page.getByTestId('rejoin-button').click();
    await enter(page);
    await untilIn(page, 'moderator');
    const other = await page.context().newPage();
    await other.goto(`${edgeUrl}/r/again`);
    await other.getByTestId('needs-invitation').waitFor();
  });

  it('[RJ1] [RJ5] a client whose session lapsed rejoins automatically with its role, although its token has expired', async () => {
    const page = await open(`${edgeUrl}/r/away#token=${joinToken('away', 'host')}`);
    await enter(page);
    await untilIn(page, 'host');
    await expireToken(page, 'away');
    const before = await selfOf(page);
    const [edge] = cluster.edges;
    const [node] = cluster.mediaNodes;
    if (edge === undefined || node === undefined) throw new Error('the cluster has an edge and a media node');
    await edge.kill('SIGKILL');
    await until(
      'the media node has removed the peer',
      async () => (await readMetrics(node.operatorUrl)).get('plenary_media_peers'),
      (peers) => peers === 0,
      60_000,
    );
    await edge.restart();
    await until(
      'the page is in the room as another peer',
      () => selfOf(page),
      (self) => self.phase === 'joined' && self.peerId !== before.peerId,
      60_000,
    );
    expect(await selfOf(page)).toMatchObject({ role: 'host' });
    // There is more than one if the edge was too busy for the join that follows.
    const labels = { result: 'session_gone' };
    expect(await readMetric(edge.operatorUrl, 'plenary_edge_resumes_total', labels)).toBeGreaterThan(0);
  });

  it('[RJ5] a person removed for flooding rejoins with "Try again", although the token has expired', async () => {
    const page = await open(`${edgeUrl}/r/flooded#token=${joinToken('flooded', 'moderator')}`);
    await enter(page);
    await untilIn(page, 'moderator');
    await expireToken(page, 'flooded');
    await page.evaluate(() => {
      for (let count = 0; count < 5_000; count += 1) globalThis.plenary?.postChat(`${count}`);
    });
    await endedBy(page, 'flooding');
    await page.getByTestId('rejoin-button').click();
    await enter(page);
    await untilIn(page, 'moderator');
  });

  it('[RJ28] a person who is in the room too often gets an error at once, and joins when a place is free', async () => {
    const token = joinToken('often', 'speaker');
    const opened = await Promise.all([1, 2, 3].map(() => open(`${edgeUrl}/r/often#token=${token}`)));
    const [first, second, third] = opened;
    if (first === undefined || second === undefined || third === undefined) throw new Error('three pages');
    for (const page of [first, second]) {
      await enter(page);
      await untilIn(page, 'speaker');
    }
    await enter(third);
    await endedBy(third, 'joined_too_often');
    expect(await third.getByRole('alert').innerText()).toContain('too many times');
    await first.getByTestId('leave-button').click();
    await first.getByTestId('rejoin-button').waitFor();
    await third.getByTestId('rejoin-button').click();
    await enter(third);
    await untilIn(third, 'speaker');
  });

  it('[RJ27] the page does not offer the bare link of a room that it opens for nobody', async () => {
    const page = await open(`${edgeUrl}/r/alone#token=${joinToken('alone', 'host')}`);
    await enter(page);
    await untilIn(page, 'host');
    expect(await page.getByTestId('by-invitation').innerText()).toContain('a link of their own');
    expect(await page.getByTestId('copy-link-button').count()).toBe(0);
  });

  it('[RJ24] an expired token without a rejoin ticket is reported as expired', async () => {
    const page = await open(`${edgeUrl}/r/late#token=${joinToken('late', 'host', 660)}`);
    await enter(page);
    await endedBy(page, 'token_expired');
    expect(await page.getByRole('alert').innerText()).toContain('This invitation has expired');
  });

  it('[RJ8] [RJ26] without a token the page offers no new room, and says whom to ask for an invitation', async () => {
    const page = await open(edgeUrl);
    await page.getByTestId('by-invitation').waitFor();
    expect(await page.getByTestId('create-button').count()).toBe(0);
    await page.goto(`${edgeUrl}/r/closed`);
    await page.getByTestId('needs-invitation').waitFor();
    expect(await page.getByTestId('needs-invitation').innerText()).toContain('Ask whoever invited you');
    expect(await page.getByTestId('join-button').count()).toBe(0);
  });

  it('[RJ10] an invalid answer of the embedding site is reported, and the site is asked again', async () => {
    const meeting = `${edgeUrl}/r/garbage`;
    const address = new URLSearchParams({ meeting, token: joinToken('garbage', 'host') });
    const page = await open(`${application}/#${address.toString()}`);
    await page.evaluate(() => Reflect.set(globalThis, 'answer', { token: { not: 'a token' } }));
    const frame = await untilFramed(page, meeting);
    await enter(frame);
    await endedBy(frame, 'token_unavailable');
    await page.evaluate(() => Reflect.set(globalThis, 'answer', { refused: true }));
    await frame.getByTestId('rejoin-button').click();
    await enter(frame);
    await endedBy(frame, 'guests_not_allowed');
    const token = joinToken('garbage', 'host');
    await page.evaluate((given) => Reflect.set(globalThis, 'answer', { token: given }), token);
    await frame.getByTestId('rejoin-button').click();
    await enter(frame);
    await untilIn(frame, 'host');
  });

  it('[RJ11] a token pasted into the address of an open page is used, before the meeting and during it', async () => {
    const page = await open(`${edgeUrl}/r/pasted`);
    await page.getByTestId('needs-invitation').waitFor();
    for (const role of ['speaker', 'host']) {
      await page.goto(`${edgeUrl}/r/pasted#token=${joinToken('pasted', role)}`);
      await page.getByTestId('name-input').waitFor();
      await enter(page);
      await untilIn(page, role);
    }
  });

  it('[RJ7] a page in a frame gets its token from the embedding site, and only from an allowed one', async () => {
    const meeting = `${edgeUrl}/r/embedded`;
    const address = new URLSearchParams({ meeting, token: joinToken('embedded', 'host') });
    const page = await open(`${application}/#${address.toString()}`);
    const frame = await untilFramed(page, meeting);
    await enter(frame);
    await untilIn(frame, 'host');
    const asked = await page.evaluate(() => Reflect.get(globalThis, 'asked') as unknown[]);
    expect(asked.length).toBeGreaterThan(0);
    // If the edge is too busy for the join, the client requests another token from the site before it retries.
    for (const request of asked) expect(request).toMatchObject({ roomId: 'embedded', fresh: false });

    // The same page at another origin: localhost is not 127.0.0.1.
    const foreign = await open(`${application.replace('127.0.0.1', 'localhost')}/#${address.toString()}`);
    await until(
      'the browser refuses to show the meeting',
      () => Promise.resolve(foreign.frames().map((shown) => shown.url())),
      (urls) => urls.some((url) => url.startsWith('chrome-error:')),
    );
  });
});
