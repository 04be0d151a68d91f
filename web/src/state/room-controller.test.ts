import { PlenaryError } from '@plenary/cluster/errors';
import { ROOM_NAME } from '@plenary/cluster/protocol';
import type { FakeHandler } from 'mediasoup-client/handlers/FakeHandler';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createSessionKey, errorForPeople } from '../client/index.ts';
import { eventually } from '../client/testing/eventually.ts';
import { loggedEvent, peerOf, sessionOf, snapshotOf } from '../client/testing/fixtures.ts';
import { heldDevice } from '../client/testing/held-device.ts';
import { ScriptedEdge, refuse } from '../client/testing/scripted-edge.ts';
import { isSending, appearsOn } from './local-media.ts';
import { bannerText } from './notices.ts';
import { headCount } from './people.ts';
import { RoomController } from './room-controller.ts';
import type { ServiceInfo } from './service-info.ts';
import { FakeBrowser } from './testing/fake-browser.ts';
import { buildTiles } from './tiles.ts';

let browser: FakeBrowser;
let controllers: RoomController[] = [];
beforeEach(() => {
  browser = new FakeBrowser();
  browser.install();
  vi.stubGlobal('location', new URL('https://meet.test/r/room'));
});
afterEach(() => {
  for (const controller of controllers) controller.leaveNow();
  controllers = [];
  handlers = [];
  vi.unstubAllGlobals();
});

const prompts = (): string[] => browser.questions.map(({ kinds }) => kinds.join('+'));

/** Handlers of the fake browser, whose transports connect when the test says so. */
let handlers: FakeHandler[] = [];

const device = () => heldDevice(handlers);

/** The page of a room; the edge describes the service when `info` resolves. */
function open(
  info: Promise<ServiceInfo | undefined> = Promise.resolve(undefined),
  edge = new ScriptedEdge(),
): RoomController {
  const controller = new RoomController(
    { page: 'room', roomId: ROOM_NAME.parse('room'), datacenter: undefined, token: undefined },
    { signalling: edge, createDevice: device, serviceInfo: () => info },
  );
  controllers.push(controller);
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ token: 'jwt', edges: [] })));
  controller.setDisplayName('Ada');
  controller.start();
  return controller;
}

/** Joins and waits one more turn: only then has the page announced its peer to other tabs. */
async function join(controller: RoomController): Promise<void> {
  controller.join();
  await eventually(async () => {
    const { connection, self } = controller.meeting.getSnapshot();
    expect(connection.phase).toBe('joined');
    const { held = [] } = await navigator.locks.query();
    expect(held.map(({ name }) => name)).toContain(`plenary.peer ${self?.peerId}`);
  });
}

async function leave(controller: RoomController): Promise<void> {
  controller.leave();
  await eventually(() => expect(controller.meeting.getSnapshot().connection.phase).toBe('left'));
}

test('[WB31] a late description of the service opens no device after the user has left', async () => {
  const info = Promise.withResolvers<ServiceInfo | undefined>();
  const controller = open(info.promise);
  controller.leaveNow();
  info.resolve(undefined);
  // A page that is still open prompts for its devices.
  open(info.promise);

  await eventually(() => expect(prompts()).toEqual(['audio+video']));
});

test('[WB37] a join before the description of the service arrives prompts for devices at once, and only once', async () => {
  const info = Promise.withResolvers<ServiceInfo | undefined>();
  const controller = open(info.promise);
  await join(controller);

  expect(prompts()).toEqual(['audio+video']);

  browser.question.allow();

  await eventually(() => expect(browser.live).toHaveLength(2));

  await leave(controller);
  info.resolve(undefined);
  open(info.promise);

  await eventually(() => expect(prompts()).toEqual(['audio+video', 'audio+video']));
  expect(browser.live).toEqual([]);
});

test('[WB29] a button that shows a device as on switches it off, even before the browser prompted', async () => {
  const info = Promise.withResolvers<ServiceInfo | undefined>();
  const controller = open(info.promise);

  expect(appearsOn(controller.media.getSnapshot().microphone)).toBe(true);

  controller.toggle('microphone');
  info.resolve(undefined);

  await eventually(() => expect(prompts()).toEqual(['video']));
  expect(appearsOn(controller.media.getSnapshot().microphone)).toBe(false);
});

test('[WB29] before the meeting, a device that is switched off is closed, and opens again when it is switched on', async () => {
  const controller = open();

  await eventually(() => expect(prompts()).toEqual(['audio+video']));

  browser.question.allow();

  await eventually(() => expect(isSending(controller.media.getSnapshot().microphone)).toBe(true));

  controller.toggle('microphone');

  await eventually(() => expect(browser.live.map(({ kind }) => kind)).toEqual(['video']));

  controller.toggle('microphone');

  await eventually(() => expect(prompts()).toEqual(['audio+video', 'audio']));
});

test('[WB29] a page that returns from the back-forward cache has its devices as its buttons show them', async () => {
  const controller = open();

  await eventually(() => expect(prompts()).toEqual(['audio+video']));

  browser.question.allow();

  await eventually(() => expect(browser.live).toHaveLength(2));

  controller.toggle('camera');
  controller.leaveNow();

  expect(browser.live).toEqual([]);

  controller.pageShownAgain();

  await eventually(() => expect(prompts()).toEqual(['audio+video', 'audio']));

  browser.question.allow();

  await eventually(() => expect(isSending(controller.media.getSnapshot().microphone)).toBe(true));

  await join(controller);
  await leave(controller);
  controller.pageShownAgain();

  expect(prompts()).toHaveLength(2);
});

test('[WB10] a pasted name joins without invisible characters, and a name without visible ones cannot join', async () => {
  const controller = open();
  for (const name of ['', '\u200b\u200b', ' \t ']) {
    controller.setDisplayName(name);
    expect(controller.canJoin).toBe(false);
  }
  controller.setDisplayName('\u202aAnn\tLee\u202c ');

  expect(controller.canJoin).toBe(true);

  await join(controller);
});

test('[WB11] a source that is paused for exceeding a limit is off at button and device, and a toast says why', async () => {
  const edge = new ScriptedEdge();
  const controller = open(undefined, edge);

  await eventually(() => expect(browser.questions).toHaveLength(1));

  browser.question.allow();
  await join(controller);
  const published = () => [...controller.meeting.getSnapshot().localTracks.values()];

  await eventually(() => expect(published().map(({ status }) => status)).toEqual(['live', 'live']));

  const texts = (): string =>
    controller.ui
      .getSnapshot()
      .toasts.map(({ text }) => text)
      .join(' ');
  edge.notify('publishing.limited', { step: 'warned', bitrate: 20_000_000, limit: 5_000_000 });

  await eventually(() => expect(texts()).toContain('sends more than the meeting allows'));
  expect(browser.live).toHaveLength(2);

  edge.notify('publishing.limited', { step: 'paused', bitrate: 20_000_000, limit: 5_000_000 });

  await eventually(() => expect(texts()).toContain('Your camera is off: nobody sees you.'));
  expect(texts()).toContain('Your microphone is off: nobody hears you.');
  expect(browser.live).toEqual([]);
  expect(controller.media.getSnapshot()).toMatchObject({
    microphone: { enabled: false },
    camera: { enabled: false },
  });
});

test('[WB18] a banner shows that nobody hears the user although the microphone is on, until that ends', async () => {
  const edge = new ScriptedEdge();
  edge.on['track.publish'] = () => refuse('media_unavailable');
  const controller = open(undefined, edge);

  await eventually(() => expect(browser.questions).toHaveLength(1));

  browser.question.allow();
  await join(controller);
  for (const handler of handlers) handler.setConnectionState('connected');
  const banner = () => bannerText(controller.meeting.getSnapshot(), controller.ui.getSnapshot().unsent);

  await eventually(() => expect(banner()).toMatch(/^So far nobody hears or sees you:/));

  controller.toggle('camera');

  await eventually(() => expect(banner()).toMatch(/^So far nobody hears you:/));

  delete edge.on['track.publish'];

  await eventually(() => expect(banner()).toBeUndefined());

  // The edge has the mute, and refuses the unmute.
  edge.on['track.pause'] = ({ paused }) => (paused ? {} : refuse('rate_limited'));
  controller.toggle('microphone');
  const microphone = () => controller.meeting.getSnapshot().localTracks.get('microphone');

  await eventually(() => expect(microphone()).toMatchObject({ paused: true, isSent: true }));

  controller.toggle('microphone');

  await eventually(() => expect(banner()).toMatch(/^So far nobody hears you:/));

  controller.toggle('microphone');

  await eventually(() => expect(banner()).toBeUndefined());
});

test('[WB14] [WB58] [WB55] a viewer is told so, is not captured, and keeps the device settings for other rooms', async () => {
  const edge = new ScriptedEdge();
  edge.on.join = ({ media }) => {
    const { sendTransport, ...receiving } = edge.media();
    expect(media.publish && sendTransport !== undefined).toBe(true);
    return { session: { ...sessionOf(), role: 'viewer' }, room: edge.room, media: receiving };
  };
  const controller = open(undefined, edge);

  await eventually(() => expect(browser.questions).toHaveLength(1));

  browser.question.allow();

  await eventually(() => expect(browser.live).toHaveLength(2));

  await join(controller);

  await eventually(() => expect(browser.live).toEqual([]));

  const { toasts } = controller.ui.getSnapshot();

  expect(toasts.map(({ tone, text }) => `${tone} ${text}`)).toEqual([
    expect.stringMatching(/^info You are here to watch/),
  ]);
  expect(controller.meeting.getSnapshot().localTracks.size).toBe(0);
  expect(edge.requests('track.publish')).toEqual([]);
  expect(controller.media.getSnapshot()).toMatchObject({
    microphone: { enabled: true },
    camera: { enabled: true },
  });
});

test('[RJ24] a page whose origin the cluster does not allow says so before the join', async () => {
  const controller = open();
  vi.stubGlobal('fetch', () =>
    Promise.resolve(Response.json({ error: new PlenaryError('forbidden').toWire() }, { status: 403 })),
  );

  expect(controller.ui.getSnapshot().isAddressRefused).toBe(false);

  controller.setDisplayName('Ada at the office');

  await eventually(() => expect(controller.ui.getSnapshot().isAddressRefused).toBe(true));
});

test('[WB15] cancelling a join that is retried returns to the unchanged form, and the user may join again', async () => {
  const edge = new ScriptedEdge();
  edge.on.join = () => {
    throw new PlenaryError('no_media_node');
  };
  const controller = open(undefined, edge);

  await eventually(() => expect(browser.questions).toHaveLength(1));

  browser.question.allow();

  await eventually(() => expect(browser.live).toHaveLength(2));

  controller.toggle('camera');
  const { meeting, ui } = controller;
  const phase = () => meeting.getSnapshot().connection.phase;
  controller.join();

  await eventually(() =>
    expect(edge.received.filter(({ name }) => name === 'join').length).toBeGreaterThan(1),
  );

  controller.cancelJoin();

  expect(ui.getSnapshot()).toMatchObject({ isPreJoin: true, displayName: 'Ada', toasts: [] });
  expect(phase()).toBe('left');
  await eventually(() => expect(prompts()).toEqual(['audio+video', 'audio']));

  browser.question.allow();

  await eventually(() => expect(browser.live.map(({ kind }) => kind)).toEqual(['audio']));

  delete edge.on.join;
  await join(controller);
  // After the join, the user leaves by another button.
  controller.cancelJoin();

  expect([phase(), ui.getSnapshot().isPreJoin]).toEqual(['joined', false]);
});

test('[RJ24] a site that may not use this server gets a text of its own, not the text for a missing role', async () => {
  const controller = open();
  const refused = new PlenaryError('forbidden', undefined, { detail: { reason: 'origin' } });
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ error: refused.toWire() }, { status: 403 })));
  controller.setDisplayName('Ada at the office');
  controller.join();
  const { meeting } = controller;

  await eventually(() => expect(meeting.getSnapshot().connection.phase).toBe('failed'));

  const { connection } = meeting.getSnapshot();
  const explanation =
    connection.phase === 'failed'
      ? errorForPeople(connection.error.code, connection.error.detail)
      : undefined;

  expect(explanation?.title).toBe('This site is not allowed to open meetings of this server');
  expect(explanation).not.toEqual(errorForPeople('forbidden'));
});

test('[WB21] a duplicated tab shows the first tab’s peer as another person, and a reloaded tab does not', async () => {
  const first = open();
  await join(first);
  browser.duplicateTab();
  const edge = new ScriptedEdge();
  edge.room = snapshotOf({ peers: [peerOf('self', 'Ada'), peerOf('copy', 'Ada')] });
  edge.on.join = () => ({
    session: { ...sessionOf(), peerId: 'copy' },
    room: edge.room,
    media: edge.media(),
  });
  const copy = open(undefined, edge);
  await join(copy);

  expect(headCount(copy.meeting.getSnapshot())).toBe(2);
  expect(buildTiles(copy.meeting.getSnapshot()).map(({ peerId }) => peerId)).toEqual(['self', 'copy']);

  // After a rejoin, the copy does not show its own previous peer.
  copy.leaveNow();

  await eventually(async () => expect((await navigator.locks.query()).held).toHaveLength(1));

  edge.on.join = () => ({
    session: { ...sessionOf(), peerId: 'again' },
    room: snapshotOf({ peers: [peerOf('copy', 'Ada'), peerOf('again', 'Ada')] }),
    media: edge.media(),
  });
  const reloaded = open(undefined, edge);
  await join(reloaded);

  expect(headCount(reloaded.meeting.getSnapshot())).toBe(1);
});

test('[WB2] a page that loads before the browser ended its predecessor shows no tile of that predecessor', async () => {
  const previous = open();
  await join(previous);
  const edge = new ScriptedEdge();
  edge.on.join = () => ({
    session: { ...sessionOf(), peerId: 'again' },
    room: snapshotOf({ peers: [peerOf('self', 'Ada'), peerOf('again', 'Ada')] }),
    media: edge.media(),
  });
  const reloaded = open(undefined, edge);

  // The lock of the previous page is still held at first.
  await eventually(() => expect(reloaded.meeting.getSnapshot().ownPeerIds.size).toBe(0));

  previous.leaveNow();

  await eventually(async () => expect((await navigator.locks.query()).held).toEqual([]));

  await join(reloaded);

  await eventually(() => expect(headCount(reloaded.meeting.getSnapshot())).toBe(1));
});

test('[WB21] a duplicated tab announces the rejoin of the first tab, but not the leave of its previous peer', async () => {
  const firstEdge = new ScriptedEdge();
  const first = open(undefined, firstEdge);
  await join(first);
  browser.duplicateTab();
  const edge = new ScriptedEdge();
  edge.on.join = () => ({
    session: { ...sessionOf(), peerId: 'copy' },
    room: snapshotOf({ peers: [peerOf('self', 'Ada'), peerOf('copy', 'Ada')] }),
    media: edge.media(),
  });
  const copy = open(undefined, edge);
  await join(copy);
  const shown = () => buildTiles(copy.meeting.getSnapshot()).map(({ peerId }) => peerId);

  expect(shown()).toEqual(['self', 'copy']);

  await leave(first);
  firstEdge.on.join = () => ({
    session: { ...sessionOf(), peerId: 'anew' },
    room: snapshotOf({ peers: [peerOf('anew', 'Ada')] }),
    media: firstEdge.media(),
  });
  await join(first);
  const joined = { type: 'peer.joined', peer: peerOf('anew', 'Ada') } as const;
  edge.notify('event', loggedEvent('101-0', '100-0', joined));

  await eventually(() => expect(shown()).toEqual(['anew', 'copy']));
});

test('[RJ21] a framed page requests a token from the application, even with a stored ticket in this tab', async () => {
  sessionStorage.setItem('plenary.tab', 'before');
  const opened = vi.fn();
  vi.stubGlobal('indexedDB', { open: opened });
  const tokenRequests: unknown[] = [];
  let listen: (event: unknown) => void = () => undefined;
  const parent = {
    postMessage: (message: { readonly id: string }) => {
      tokenRequests.push(message);
      const data = { type: 'plenary.token', id: message.id, token: 'of-bob' };
      setTimeout(() => listen({ data, origin: 'https://app.test', source: parent }), 0);
    },
  };
  vi.stubGlobal('window', {
    parent,
    location: {},
    addEventListener: (_type: string, listener: typeof listen) => {
      listen = listener;
    },
    removeEventListener: () => undefined,
  });
  const edge = new ScriptedEdge();
  await join(open(Promise.resolve({ guests: false, embedOrigins: ['https://app.test'] }), edge));

  expect(tokenRequests).toMatchObject([{ roomId: 'room', fresh: false }]);
  expect(edge.requests('join').map(({ token }) => token)).toEqual(['of-bob']);
  expect(opened).not.toHaveBeenCalled();
});

/** A browser store that answers after this time, as after the start of a browser; `undefined`: never. */
function slowStore(answersAfterMs: number | undefined, kept: unknown): void {
  const answer = (request: object, type: string, target: EventTarget): object => {
    if (answersAfterMs !== undefined) setTimeout(() => target.dispatchEvent(new Event(type)), answersAfterMs);
    return Object.assign(target, request);
  };
  const transaction = () =>
    answer({ objectStore: () => ({ get: () => ({ result: kept }) }) }, 'complete', new EventTarget());
  const database = { transaction, close: () => undefined };
  vi.stubGlobal('indexedDB', { open: () => answer({ result: database }, 'success', new EventTarget()) });
}

test('[RJ18] [RJ30] a user with a ticket waits for a slow browser store, and sees an error if it never answers, instead of joining as a guest', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    sessionStorage.setItem('plenary.tab', 'before');
    const { pair } = await createSessionKey();
    slowStore(2_000, { token: 'kept', pair, keptAtMs: Date.now() });
    const edge = new ScriptedEdge();
    const controller = open(undefined, edge);
    const tokens = () => edge.requests('join').map(({ token }) => token);
    const { meeting } = controller;
    controller.join();
    await vi.advanceTimersByTimeAsync(5_000);
    await eventually(() => expect(tokens()).toEqual(['kept']));

    slowStore(undefined, undefined);
    const other = open(undefined, edge);
    other.join();
    await vi.advanceTimersByTimeAsync(15_000);
    const { connection } = other.meeting.getSnapshot();
    expect(connection).toMatchObject({ phase: 'failed', error: { detail: { reason: 'kept_unreadable' } } });
    expect(tokens()).toEqual(['kept']);
    expect(meeting.getSnapshot().connection.phase).toBe('joined');
    expect(other.canJoinAsGuest).toBe(true);
    other.joinAsGuest();
    expect(other.ui.getSnapshot().isPreJoin).toBe(true);
    other.join();
    await vi.advanceTimersByTimeAsync(1_000);
    await eventually(() => expect(tokens()).toEqual(['kept', 'jwt']));
  } finally {
    vi.useRealTimers();
  }
});

test('[RJ19] without guests allowed, a user is not rejected before the browser store has said whether there is a ticket', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    sessionStorage.setItem('plenary.tab', 'before');
    slowStore(undefined, undefined);
    const controller = open(Promise.resolve({ guests: false, embedOrigins: [] }));
    await vi.advanceTimersByTimeAsync(15_000);
    expect(controller.ui.getSnapshot()).toMatchObject({ needsInvitation: false, isLinkOpen: false });
    expect(controller.canJoinAsGuest).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

test('[WB17] new information toasts displace older ones, but never problems', () => {
  const controller = open();
  controller.toast('Your microphone is off: nobody hears you.', 'problem');
  for (const name of ['Bob', 'Cy', 'Dee', 'Eve']) controller.toast(`${name} joined`);
  const shown = () => controller.ui.getSnapshot().toasts.map(({ text }) => text);

  expect(shown()).toEqual(['Your microphone is off: nobody hears you.', 'Dee joined', 'Eve joined']);

  for (const trouble of ['one', 'two', 'three']) controller.toast(trouble, 'problem');

  expect(shown()).toEqual(['one', 'two', 'three']);
});
