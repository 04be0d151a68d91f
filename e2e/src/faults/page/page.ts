/**
 * What runs in Chromium: the real headless client, a person's camera and voice, and the probes. `person.ts` calls it by
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

/** What a person sees. */
export interface PageLook {
  readonly phase: string;
  readonly edgeId: string | undefined;
  readonly mediaNodeId: string | undefined;
  /** Sorted, with one's own. */
  readonly roster: readonly string[];
  readonly peerCount: number;
  /** In the order of the room. */
  readonly chat: readonly string[];
  /** Messages of one's own that the room does not show yet, and what became of them so far. */
  readonly unsaid: readonly string[];
  /** Frames of others that were delivered, by `name audio` and `name video`. */
  readonly delivered: Readonly<Record<string, number>>;
}

export interface PageGaps {
  /** The longest stretches without a frame, by `name audio` and `name video`, in milliseconds. */
  readonly media: Readonly<Record<string, number>>;
  /** The longest stretch between two presses of a button that were answered, in milliseconds. */
  readonly button: number;
}

/** What a person noticed since `watch`. */
export interface PageNoticed extends PageGaps {
  readonly presses: Presses;
  /** Every state of connection or media that was not the usual one, in order, such as `connection: resuming`. */
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
  if (meeting === undefined) throw new Error('this page is in no meeting');
  return meeting;
}

/** Tracks that are received, with the names of those who send them. */
function received() {
  const snapshot = meeting?.getSnapshot();
  return [...(snapshot?.remoteTracks.values() ?? [])].flatMap(({ peerId, kind, mediaTrack }) => {
    const owner = snapshot?.room.peers.get(peerId)?.displayName;
    return mediaTrack === undefined || owner === undefined ? [] : [{ owner, kind, track: mediaTrack }];
  });
}

const deliveries = new Deliveries(received);
const button = new Button(() => meeting);

/** Sound is decoded for whoever listens. */
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

/** Notes what is not as it should be, once for each change. */
function noteInterruptions(): void {
  const { connection, media } = current().getSnapshot();
  const seen = [
    ...(connection.phase === 'joined' ? [] : [`connection: ${connection.phase}`]),
    ...(media === 'connected' ? [] : [`media: ${media}`]),
  ];
  for (const state of seen) if (interruptions.at(-1) !== state) interruptions.push(state);
}

/** A tone that never rests: of a silent microphone nothing is sent, and nothing could be missed. */
function voice(): MediaStreamTrack {
  const context = new AudioContext();
  const tone = new OscillatorNode(context, { frequency: 300 + Math.random() * 300 });
  const microphone = context.createMediaStreamDestination();
  tone.connect(microphone);
  tone.start();
  const [track] = microphone.stream.getAudioTracks();
  if (track === undefined) throw new Error('the browser makes no sound');
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
    if (camera === undefined) throw new Error('the browser has no camera');
    await Promise.all([meeting.publish('camera', camera), meeting.publish('microphone', voice())]);
    await meeting.join();
  },

  leave: (): Promise<void> => current().leave(),

  /** Writes to the chat. */
  say: (text: string): boolean => current().postChat(text),

  /** Presses “send again” on what could not be sent. */
  sayAgain(): void {
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
      unsaid: outbox.map(({ text, status, errorCode }) => `${text}: ${status} ${errorCode ?? ''}`),
      delivered: deliveries.counts(),
    };
  },

  /** Begins to measure. */
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

  /** What the client complained of, for a test that fails. */
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
