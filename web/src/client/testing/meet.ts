/** Creates meetings on a scripted edge and leaves them after each test. */
import { FakeMediaStreamTrack } from 'fake-mediastreamtrack';
import { afterEach } from 'vitest';
import { Meeting, type MeetingOptions } from '../index.ts';
import type { ScriptedEdge } from './scripted-edge.ts';
import { fakeDevice } from './scripted-edge.ts';

export const EDGE_A = 'http://edge-a.test:3000';
export const EDGE_B = 'http://edge-b.test:3000';

let meetings: Meeting[] = [];

afterEach(() => {
  for (const meeting of meetings) meeting.leaveNow();
  meetings = [];
});

export function meet(edge: ScriptedEdge, options: Partial<MeetingOptions> = {}): Meeting {
  const meeting = new Meeting({
    edgeUrls: [EDGE_A],
    roomId: 'room',
    ...(options.getToken === undefined ? { token: 'token' } : {}),
    displayName: 'Ada',
    signalling: edge,
    probing: edge,
    createDevice: fakeDevice,
    log: { warn: () => undefined },
    ...options,
  });
  meetings.push(meeting);
  return meeting;
}

export function audioTrack(): FakeMediaStreamTrack {
  return new FakeMediaStreamTrack({ kind: 'audio' });
}

export function videoTrack(): FakeMediaStreamTrack {
  return new FakeMediaStreamTrack({ kind: 'video' });
}

export const phase = (meeting: Meeting): string => meeting.getSnapshot().connection.phase;

export function sessionReply(edge: ScriptedEdge, url: string): unknown {
  const urls = edge.edges.length === 0 ? [url] : edge.edges;
  return {
    peerId: 'self',
    roomId: 'room',
    displayName: 'Ada',
    role: 'speaker',
    sessionToken: 'session-token',
    resumeWithinMs: 30_000,
    edgeId: 'edge-1',
    edges: urls.map((edgeUrl, index) => ({ edgeId: `edge-${index + 1}`, datacenter: 'gra', url: edgeUrl })),
  };
}
