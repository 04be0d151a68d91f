import { peer, request, track } from '@plenary/cluster/testing/samples';
import { EPOCH } from '@plenary/cluster/ids';
import { CLIENT_REQUESTS, LOGGED_EVENT } from '@plenary/cluster/protocol';
import { describe, expect, it } from 'vitest';
import { BUDGETS, MIN_CARRIED_SHARE, MAX_CARRIED_SHARE } from '../../limits/budget.ts';
import { FIRST_TRACKS, REQUEST_COSTS } from '../../limits/cost.ts';
import { LimitedLog } from '../../limits/limited-log.ts';
import { EdgeBudgets } from '../../limits/meter.ts';
import { ClientConnection } from '../../entry/client-connection.ts';
import { EdgeParts, RecordingSocket, ROOM } from '../../testing/edge-parts.ts';
import { handleTrackEnd, handleTrackPause, handleTrackPublish } from './tracks.ts';

async function publisher() {
  const parts = new EdgeParts();
  const { localRooms, links, clock, metrics, channel, reportFault } = parts;
  const link = links.add('node');
  const socket = new RecordingSocket();
  const session = parts.hold(await parts.place('ann', 'node'), socket);
  localRooms.tracksOf(ROOM).learn([
    {
      trackId: track('bobs'),
      peerId: peer('bob'),
      kind: 'audio',
      source: 'microphone',
      homeNodeId: links.add('another').mediaNodeId,
    },
  ]);
  const log = new LimitedLog({ metrics, logger: { warn: () => undefined }, clock });
  const budgets = new EdgeBudgets({ clock, socketsPerAddress: 2_000, log });
  const connection = new ClientConnection(socket, { onSocketClosed: () => undefined }, budgets, localRooms);
  connection.apply({ type: 'entry_started', entry: { requestId: undefined, reply: undefined } });
  connection.apply({ type: 'entered', session });
  connection.payFrom(session, {});
  const services = { localRooms, links, clock, channel, reportFault };
  /** The tracks that the room was told of, in the order of events. */
  const told = (): unknown[] =>
    channel.events.map(({ event }) => ('trackId' in event ? event.trackId : event.type));
  return { parts, link, connection, services, session, told };
}

let sequence = 0;
const logged = (event: unknown) => {
  sequence += 1;
  return LOGGED_EVENT.parse({ id: `${sequence}-0`, previousId: `${sequence - 1}-0`, event });
};
const changed = (trackId: string) => logged({ type: 'track.changed', trackId, paused: true });
const ended = (trackId: string, peerId = 'ann') =>
  logged({ type: 'track.ended', trackId, peerId, reason: 'unpublished' });
const publication = (trackId: string, peerId: string) =>
  logged({
    type: 'track.published',
    track: { trackId, peerId, kind: 'audio', source: 'microphone', paused: false },
  });
const PUBLISH = CLIENT_REQUESTS['track.publish'].payload.parse({
  requestId: request('mic'),
  transportId: 'send',
  kind: 'audio',
  source: 'microphone',
  rtpParameters: {
    codecs: [{ mimeType: 'audio/opus', payloadType: 100, clockRate: 48_000, channels: 2 }],
    encodings: [{ ssrc: 1 }],
  },
  paused: false,
});

describe('what a media node answers about a track', () => {
  it('[CL35] is believed of that track alone', async () => {
    const { parts, link, connection, services, told } = await publisher();
    const lies = [
      changed('bobs'),
      ended('unknown'),
      ended('mine', 'bob'),
      logged({ type: 'peer.left', peerId: 'bob', reason: 'left' }),
    ];
    link.answer = (name) => ({
      ...(name === 'track.publish' ? { trackId: 'mine' } : {}),
      events: [
        ...lies,
        publication('mine', 'bob'),
        publication('unknown', 'ann'),
        name === 'track.publish'
          ? publication('mine', 'ann')
          : name === 'track.end'
            ? ended('mine')
            : changed('mine'),
      ],
      calls: 1,
    });
    await handleTrackPublish(services)(PUBLISH, connection);
    await handleTrackPause(services)({ trackId: track('mine'), paused: true }, connection);
    await handleTrackEnd(services)({ trackId: track('mine') }, connection);
    expect(told()).toEqual(['track.published', 'mine', 'mine']);
    expect(parts.faults).toHaveLength(3);
  });

  it('[CL35] takes over nobody else’s track', async () => {
    const { parts, link, connection, services, told } = await publisher();
    link.answer = (name) => ({
      ...(name === 'track.publish' ? { trackId: 'bobs' } : {}),
      events: [name === 'track.publish' ? publication('bobs', 'ann') : ended('bobs')],
      calls: 1,
    });
    await handleTrackPublish(services)(PUBLISH, connection);
    await handleTrackEnd(services)({ trackId: track('bobs') }, connection);
    expect(told()).toEqual([]);
    expect(parts.faults).toHaveLength(2);
    expect(parts.localRooms.tracksOf(ROOM).homeNodeOf(track('bobs'))).toBe('another');
  });
});

describe('what a publication costs', () => {
  it('[BU22] is little for the first tracks of a placement, and as much as a join for further ones', async () => {
    const { link, connection, services, session } = await publisher();
    link.answer = () => ({ trackId: 'mine', events: [publication('mine', 'ann')], calls: 3 });
    const work = (): number => session.budget?.resources.levelOf('work') ?? Number.NaN;
    const before = work();
    for (let count = 0; count < FIRST_TRACKS; count += 1)
      await handleTrackPublish(services)(PUBLISH, connection);
    expect(work()).toBe(before);
    await handleTrackPublish(services)(PUBLISH, connection);
    expect(before - work() + REQUEST_COSTS['track.publish']).toBe(REQUEST_COSTS.join);
    // A placement that came later has its own first tracks.
    expect(session.countPublication({ epoch: EPOCH.parse(session.media.epoch + 1) })).toBe(1);
    expect(session.countPublication(session.media)).toBe(2);
  });

  it('[BU59] can be paid by somebody whose edge and media node died together, with what is carried at least', () => {
    const least = BUDGETS.session.work.capacity * MIN_CARRIED_SHARE;
    const { resume, 'media.open': open, 'track.publish': publish } = REQUEST_COSTS;
    expect(least).toBeGreaterThanOrEqual(resume + open + publish);
    expect(BUDGETS.session.work.capacity * MAX_CARRIED_SHARE).toBeGreaterThanOrEqual(
      resume + open + FIRST_TRACKS * publish,
    );
  });
});
