/**
 * This page runs in Chromium: the real headless client, a fake camera and voice, and the probes. `person.ts` calls it through
 * `window.plenaryPerson`.
 */
import { createMeeting } from '@plenary/web/client';
import type { Meeting } from '@plenary/web/client';
import { Button } from './button.ts';
import type { Presses } from './button.ts';
import { Deliveries, noteConnections } from './deliveries.ts';

export interface PageJoin {
  readonly edgeUrl: string;
  readonly roomId: string;
  readonly name: string;
}

/** What a person's page shows. */
export interface PageLook {
  readonly phase: string;
  readonly edgeId: string | undefined;
  readonly mediaNodeId: string | undefined;
  /** Sorted, including the own name. */
  readonly roster: readonly string[];
  readonly peerCount: number;
  /** In the room's order. */
  readonly chat: readonly string[];
  /** Own messages that the room does not show yet, with their state. */
  readonly pendingMessages: readonly string[];
  /** Delivered frames of others, by `name audio` and `name video`. */
  readonly delivered: Readonly<Record<string, number>>;
}

export interface PageGaps {
  /** The longest gaps without a frame, by `name audio` and `name video`, in milliseconds. */
  readonly media: Readonly<Record<string, number>>;
  /** The longest time without a successful press of a button, in milliseconds. */
  readonly button: number;
}

/** What a person noticed since `watch`. */
export interface PageNoticed extends PageGaps {
  readonly presses: Presses;
  /** Every abnormal state of connection or media session, in order, such as `connection: resuming`. */
  readonly interruptions: readonly string[];
}

const CAMERA = { width: 320, height: 180, frameRate: 30 };
const WARNINGS_KEPT = 100;

noteConnections();

const warnings: string[] = [];
let interruptions: string[] = [];
let meeting: Meeting | undefined;
let name = '';
const players = new Map<MediaStreamTrack, HTMLMediaElement>();

function current(): Meeting {
  if (meeting === undefined) throw new Error('This page is in no meeting.');
  return meeting;
}

/** The remote tracks that are received, with their publishers' names. */
function received() {
  const snapshot = meeting?.getSnapshot();
  return [...(snapshot?.remoteTracks.values() ?? [])].flatMap(({ peerId, kind, mediaTrack }) => {
    const owner = snapshot?.room.peers.get(peerId)?.displayName;
    return mediaTrack === undefined || owner === undefined ? [] : [{ owner, kind, track: mediaTrack }];
  });
}

const deliveries = new Deliveries(received);
const button = new Button(() => meeting);

/** Plays all received tracks, because the browser decodes sound only for a player. */
function play(): void {
  const tracks = new Set(received().map(({ track }) => track));
  for (const [track, player] of players) {
    if (tracks.has(track)) continue;
    player.remove();
    players.delete(track);
  }
  for (const track of tracks) {
    if (players.has(track)) continue;
    const player = document.createElement(track.kind === 'audio' ? 'audio' : 'video');
    player.srcObject = new MediaStream([track]);
    player.autoplay = true;
    player.muted = track.kind === 'video';
    document.body.append(player);
    players.set(track, player);
  }
}

/** Records abnormal states, once for each change. */
function noteInterruptions(): void {
  const { connection, media } = current().getSnapshot();
  const seen = [
    ...(connection.phase === 'joined' ? [] : [`connection: ${connection.phase}`]),
    ...(media === 'connected' ? [] : [`media: ${media}`]),
  ];
  for (const state of seen) if (interruptions.at(-1) !== state) interruptions.push(state);
}

/** A continuous tone: a silent microphone sends nothing, so that a gap could not be seen. */
function voice(): MediaStreamTrack {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 300 + Math.random() * 300 });
  const microphone = context.createMediaStreamDestination();
  tone.connect(microphone);
  tone.start();
  const [track] = microphone.stream.getAudioTracks();
  if (track === undefined) throw new Error('The browser has no sound track.');
  return track;
}

const person = {
  async join(join: PageJoin): Promise<void> {
    name = join.name;
    const stream = await navigator.mediaDevices.getUserMedia({ video: CAMERA });
    meeting = createMeeting({
      edgeUrls: [join.edgeUrl],
      roomId: join.roomId,
      getToken: () => window.plenaryToken(),
      log: {
        warn: (message, detail) => {
          warnings.push(`${Math.round(performance.now())} ${message}: ${String(detail)}`);
          warnings.splice(0, warnings.length - WARNINGS_KEPT);
        },
      },
    });
    meeting.subscribe(play);
    meeting.subscribe(noteInterruptions);
    const [camera] = stream.getVideoTracks();
    if (camera === undefined) throw new Error('The browser has no camera.');
    await Promise.all([meeting.publish('camera', camera), meeting.publish('microphone', voice())]);
    await meeting.join();
  },

  leave: (): Promise<void> => current().leave(),

  /** Posts a chat message. */
  post: (text: string): boolean => current().postChat(text),

  /** Presses “send again” for each message that failed. */
  retryFailedPosts(): void {
    for (const { status, requestId } of current().getSnapshot().outbox) {
      if (status === 'failed') current().retryChat(requestId);
    }
  },

  read(): PageLook {
    const { connection, edgeId, mediaNodeId, room, outbox } = current().getSnapshot();
    const names = new Set([name, ...[...room.peers.values()].map(({ displayName }) => displayName)]);
    return {
      phase: connection.phase,
      edgeId,
      mediaNodeId,
      roster: [...names].sort(),
      peerCount: room.peerCount,
      chat: room.chat.map(({ text }) => text),
      pendingMessages: outbox.map(({ text, status, errorCode }) => `${text}: ${status} ${errorCode ?? ''}`),
      delivered: deliveries.counts(),
    };
  },

  /** Starts a measurement. */
  watch(): void {
    deliveries.reset();
    button.reset();
    interruptions = [];
  },

  gaps: (): PageGaps => ({ media: deliveries.gaps(), button: button.gap() }),

  noticed: (): PageNoticed => ({
    media: deliveries.gaps(),
    button: button.gap(),
    presses: button.presses(),
    interruptions,
  }),

  /** The client's warnings, for the error of a failed test. */
  warnings: (): readonly string[] => warnings,
};

declare global {
  interface Window {
    plenaryPerson: typeof person;
    /** Asks the application behind the page for a join token. */
    plenaryToken: () => Promise<string>;
  }
}

window.plenaryPerson = person;
