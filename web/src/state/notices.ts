/**
 * Texts for people about the state of the meeting, their devices and room names. Each text says what happened, what it means, and what the
 * person can do. The texts of cluster errors are in `client/errors-for-people.ts`.
 */
import type { ErrorCode } from '@plenary/cluster/errors';
import type { TrackSource } from '@plenary/cluster/protocol';
import { errorForPeople, type MeetingSnapshot, type TrackStopReason } from '../client/index.ts';
import type { DeviceKind, DeviceProblem } from './device-problems.ts';
import { LONGEST_NAME, type RoomNameProblem } from './room-names.ts';

/** No media path was ever established: what a person in a closed network needs to know, and can pass on to its administrator. */
const MEDIA_BLOCKED =
  'Sound and picture do not get through: the network you are in, or a VPN, seems to block them. Chat and the list of people work. Try another network, such as your phone’s hotspot, or ask whoever runs this one to let out UDP and TCP to the media servers. Trying again by itself.';

/** The text for enabled sources that are not sent so far. */
function explainUnsent(unsent: readonly TrackSource[]): string | undefined {
  const [isUnheard, isUnseen] = [unsent.includes('microphone'), unsent.includes('camera')];
  const nobody = [
    ...(isUnheard || isUnseen
      ? [`nobody ${isUnheard ? (isUnseen ? 'hears or sees' : 'hears') : 'sees'} you`]
      : []),
    ...(unsent.includes('screen') ? ['nobody sees your screen'] : []),
  ];
  return nobody.length === 0
    ? undefined
    : `So far ${nobody.join(', and ')}: sending takes longer than usual. Trying again by itself.`;
}

/**
 * The banner over an impaired meeting; `undefined` while everything works.
 * @param unsent - sources that the person has switched on, but that are not sent so far
 */
export function bannerText(
  { connection, media, flow }: Pick<MeetingSnapshot, 'connection' | 'media' | 'flow'>,
  unsent: readonly TrackSource[] = [],
): string | undefined {
  const isMediaLost = media === 'reconnecting' || media === 'blocked' || flow === 'lost';
  // Only the send transport may be lost.
  if (media === 'reconnecting' && flow === 'arriving')
    return connection.phase === 'reconnecting'
      ? 'Connection to the server lost. Sound and picture arrive, but the others may not see or hear you. Reconnecting by itself; check your network.'
      : 'Sound and picture arrive, but the others may not see or hear you. Looking for another way by itself.';
  if (connection.phase === 'reconnecting') {
    if (isMediaLost || flow === 'silent')
      return 'Connection lost. Nothing arrives from the others, and they may not see or hear you. Reconnecting by itself; check your network.';
    if (flow === 'arriving')
      return 'Sound and picture arrive, but chat and buttons have to wait: reconnecting to the server by itself.';
    return 'Connection to the server lost. Reconnecting by itself.';
  }
  if (media === 'blocked') return MEDIA_BLOCKED;
  if (isMediaLost)
    return 'Nothing arrives from the others, and they may not see or hear you. Looking for another way by itself.';
  return explainUnsent(unsent);
}

const SCREEN_BLOCKED_BY_SYSTEM =
  'The screen was not shared: the system does not give it to the browser. Allow the browser to record the screen in the system’s settings, or choose another window.';

/** Texts for screens that differ from those for devices. */
const SCREEN_PROBLEMS: Readonly<Partial<Record<DeviceProblem, string>>> = {
  denied: 'The screen was not shared: the browser did not allow it.',
  'denied-by-system': SCREEN_BLOCKED_BY_SYSTEM,
  'denied-in-frame':
    'The screen is not shared. If the browser did not ask you which one, the page around this one does not allow it.',
  none: 'The screen was not shared: the browser found nothing that it could share.',
  'in-use': SCREEN_BLOCKED_BY_SYSTEM,
  gone: 'The screen is not shared any more.',
  silenced: 'Nothing of the screen is shared at the moment.',
  unknown: 'The screen was not shared: the browser could not start it. Try once more.',
};

/** Explains why a device cannot be used. */
export function explainProblem(kind: DeviceKind, problem: DeviceProblem): string {
  const ofScreen = kind === 'screen' ? SCREEN_PROBLEMS[problem] : undefined;
  if (ofScreen !== undefined) return ofScreen;
  const unnoticed = kind === 'microphone' ? 'nobody hears you' : 'nobody sees you';
  switch (problem) {
    case 'denied':
      return `Your ${kind} is blocked. Allow it in the browser’s address bar, then try again.`;
    case 'denied-by-system':
      return `The system blocks your ${kind}. Allow it for the browser in the system’s settings, then try again.`;
    case 'denied-by-page':
      return `The page around this one does not let the meeting use your ${kind}. Tell whoever runs that page.`;
    case 'denied-in-frame':
      return `Your ${kind} is blocked. Allow it in the browser’s address bar, then try again. If it is not blocked there, the page around this one does not allow it.`;
    case 'none':
      return `That ${kind} was not found. Plug it in or choose another one; you can take part without it.`;
    case 'in-use':
      return `Your ${kind} is used by another program. Close that, then try again.`;
    case 'insecure':
      return `The browser gives a ${kind} only to pages opened over https or localhost.`;
    case 'unsupported':
      return `This browser cannot use a ${kind} here.`;
    case 'gone':
      return `Your ${kind} was unplugged or blocked, so ${unnoticed}. Switch it on again when it is back.`;
    case 'silenced':
      return `Your ${kind} is switched off by the browser, the system or a switch on it, so ${unnoticed}. Switch it on there.`;
    case 'unknown':
      return `Your ${kind} could not be started.`;
  }
}

const NOT_SECURE =
  'This page was not opened over https, so the browser gives it neither microphone nor camera. You can still watch, listen and write. To be heard and seen, open the address that begins with https://, or ask whoever runs this service for one.';

/** Explains unusable devices before the meeting, with one text each, or one for a common cause. */
export function explainProblems(
  problems: readonly { readonly kind: DeviceKind; readonly problem: DeviceProblem }[],
): readonly { readonly kind: DeviceKind; readonly text: string }[] {
  const [first] = problems;
  if (first !== undefined && problems.every(({ problem }) => problem === 'insecure'))
    return [{ kind: first.kind, text: NOT_SECURE }];
  return problems.map(({ kind, problem }) => ({ kind, text: explainProblem(kind, problem) }));
}

/** Explains that the chosen device failed and the previous one goes on. */
export function explainKeptDevice(kind: 'microphone' | 'camera', problem: DeviceProblem): string {
  return `${explainProblem(kind, problem)} You go on with the ${kind} you had.`;
}

const SOURCE_IS_OFF: Readonly<Record<TrackSource, string>> = {
  microphone: 'Your microphone is off: nobody hears you.',
  camera: 'Your camera is off: nobody sees you.',
  screen: 'Your screen is not shared.',
  'screen-audio': 'The sound of your screen is not shared.',
};

const WITHOUT_ADVICE: ReadonlySet<ErrorCode> = new Set([
  'internal',
  'malformed_message',
  'invalid_media_parameters',
  'browser_failed',
]);

/** Explains why an own track is not published. */
export function explainUnpublished(source: TrackSource, code: ErrorCode): string {
  const what = SOURCE_IS_OFF[source];
  // The texts of these errors are about page, browser and server, which does not help a person who pressed a button.
  if (WITHOUT_ADVICE.has(code)) return `${what} It could not be sent. Try once more, or reload the page.`;
  const { title, advice } = errorForPeople(code);
  return `${what} ${title}. ${advice}`;
}

/** Explains why the meeting paused or ended an own track. */
export function explainStoppedTrack(source: TrackSource, reason: TrackStopReason): string {
  const why =
    reason === 'over_limit'
      ? 'It was switched off because this device sends more than the meeting allows.'
      : 'It was switched off by the meeting.';
  return `${SOURCE_IS_OFF[source]} ${why} You may switch it on again.`;
}

/** Shown to a viewer at the join. */
export const VIEWER_NOTICE =
  'You are here to watch and listen: nobody hears or sees you. To take part by voice or picture, ask whoever invited you for another link.';

/** The warning before the meeting switches sources off. */
export const SENDS_TOO_MUCH =
  'This device sends more than the meeting allows. If that goes on, your camera, microphone and screen are switched off.';

/** Explains an action that failed with an error of the cluster. */
export function explainFailure(code: ErrorCode): string {
  const { title, meaning, advice } = errorForPeople(code);
  return `${title}. ${meaning} ${advice}`;
}

/** Shown for a failure of the page itself. */
export const PAGE_FAULT = 'That did not work on this page. Try once more, or reload it.';

/** Explains before the join that the cluster refuses pages from this address, such as a bare IP address. */
export function explainAddress(origin: string): string {
  return `Meetings cannot be joined from this address (${origin}), since the service does not know it for its own. Open the meeting at the address that you were given, or tell whoever runs this service.`;
}

/** Shown in a room whose link admits nobody without a token. */
export const BY_INVITATION =
  'Only people with a link of their own can come in. Invite others where you got yours: from the application that this meeting belongs to.';

/** Label of a tile whose video or audio does not arrive. */
export const NO_SIGNAL = 'No signal';
/** Label of a shared screen without packets, possibly because it does not change. */
export const NOTHING_NEW = 'Nothing new arrives';
/** Label of a tile that this browser cannot show. */
export const CANNOT_SHOW = 'Cannot be shown here';

/** Explains why a join takes longer; empty while the reason is unknown. */
export function stillTryingText({ connection }: Pick<MeetingSnapshot, 'connection'>): string {
  const isTrying = connection.phase === 'connecting' || connection.phase === 'joining';
  if (!isTrying || connection.lastError === undefined) return '';
  const { title, meaning } = errorForPeople(connection.lastError.code, connection.lastError.detail);
  return `${title}. ${meaning} Trying again by itself.`;
}

const MAX_SHOWN_LETTERS = 40;

/** Explains why the address of this page leads to no room. */
export function explainBadName(name: string): string {
  // Control and format characters of a link must not change how the sentence reads.
  const letters = [...name.replace(/\p{Other}/gu, '')];
  const shown =
    letters.length > MAX_SHOWN_LETTERS
      ? `${letters.slice(0, MAX_SHOWN_LETTERS).join('')}…`
      : letters.join('');
  return letters.length > LONGEST_NAME
    ? `“${shown}” is too long for the name of a meeting, which has up to ${LONGEST_NAME} characters.`
    : `“${shown}” cannot be the name of a meeting. Use letters, digits, “-” and “_”.`;
}

/** Explains why a typed text is no room name. */
export function explainRoomName(problem: RoomNameProblem): string {
  switch (problem.type) {
    case 'empty':
      return 'A name needs a letter or a digit.';
    case 'too-long':
      return `That is too long: a name has up to ${problem.most} characters.`;
    case 'letters':
      return `“${problem.letters}” cannot be part of a name. Use the letters a to z, digits, “-” and “_”.`;
    case 'other-site':
      return `That link leads to another site (${problem.host}). Open it there, or type a name for a meeting here.`;
    case 'no-meeting':
      return 'That link is of this site, but not of a meeting.';
  }
}
