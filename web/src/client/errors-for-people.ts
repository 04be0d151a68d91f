import type { ErrorCode, ErrorDetail } from '@plenary/cluster/errors';
import { KEPT_UNREADABLE } from './rejoin.ts';

/** An error as a person reads it: what happened, what it means for them, what they can do. */
export interface PersonReadableError {
  readonly title: string;
  readonly meaning: string;
  readonly advice: string;
}

/** Every code of the closed table; a new code does not compile until it is written here. */
const FOR_PEOPLE: Record<ErrorCode, PersonReadableError> = {
  malformed_message: {
    title: 'The service did not take what this page sent',
    meaning: 'Something in it does not have the form that the service expects.',
    advice: 'Reload the page. If it happens again, tell whoever runs this service.',
  },
  unknown_message: {
    title: 'The service does not know what this page asked for',
    meaning: 'The page may be newer or older than the service.',
    advice: 'Reload the page. If it happens again, tell whoever runs this service.',
  },
  out_of_order: {
    title: 'That did not fit at this moment',
    meaning: 'This page asked for something that fits only before or after what it is doing now.',
    advice: 'Try it once more; if that does not help, reload the page.',
  },
  invalid_media_parameters: {
    title: 'Your sound or picture was not taken',
    meaning: 'The media server cannot work with the way in which your browser sends it.',
    advice: 'Use a current version of Chrome, Edge, Firefox or Safari.',
  },
  internal: {
    title: 'The server had a fault',
    meaning: 'It has been written down there.',
    advice: 'Try again in a moment.',
  },
  message_too_large: {
    title: 'That is too long',
    meaning: 'The server does not take messages of that size.',
    advice: 'Split it into shorter messages.',
  },
  protocol_version: {
    title: 'This page is out of date',
    meaning: 'The service was updated while the page was open.',
    advice: 'Reload the page to get the new version.',
  },
  token_invalid: {
    title: 'This invitation is not valid',
    meaning:
      'The link was not made for this service, was changed on its way, or was made with a wrong clock.',
    advice: 'Ask whoever invited you for a new link.',
  },
  token_expired: {
    title: 'This invitation has expired',
    meaning: 'An invitation by link is good for some minutes only.',
    advice: 'Open the meeting again from where you got the link, or ask whoever invited you for a new one.',
  },
  token_wrong_room: {
    title: 'This invitation is for another meeting',
    meaning: 'The link you followed belongs to a different room.',
    advice: 'Check the link, or ask for the right one.',
  },
  keys_unavailable: {
    title: 'Your invitation cannot be checked yet',
    meaning: 'The service is just fetching the keys of the application that invited you.',
    advice: 'Try again in a moment.',
  },
  token_unavailable: {
    title: 'Nobody could say who you are',
    meaning: 'The application that this meeting belongs to gave no invitation for you.',
    advice: 'Try again in a moment, or open the meeting once more from there.',
  },
  access_revoked: {
    title: 'You cannot come back to this meeting',
    meaning: 'Somebody who runs this meeting ended your access to it.',
    advice: 'Ask the host, if you think that this is a mistake.',
  },
  guests_not_allowed: {
    title: 'You need an invitation',
    meaning: 'This meeting is open only to people who come with a link that was made for them.',
    advice:
      'Ask whoever invited you to send you your own link, or open the meeting from the application that it belongs to.',
  },
  token_replayed: {
    title: 'This meeting was taken up elsewhere',
    meaning: 'Another page of yours went on with it, so this one cannot.',
    advice: 'Join again.',
  },
  proof_invalid: {
    title: 'You were away from the meeting',
    meaning: 'This page could not show that it is the one that joined.',
    advice: 'Join again.',
  },
  insecure_context: {
    title: 'This page is not secure',
    meaning: 'Browsers give camera, microphone and keys only to pages that come over HTTPS.',
    advice: 'Open the address that begins with https://, or tell whoever runs this service.',
  },
  browser_failed: {
    title: 'This browser cannot take part',
    meaning: 'Something that meetings need is missing in it, switched off, or did not work, such as WebRTC.',
    advice:
      'Reload the page. If that does not help, use a current version of Chrome, Edge, Firefox or Safari.',
  },
  forbidden: {
    title: 'You may not do this here',
    meaning: 'Your role in this meeting does not include it.',
    advice: 'Ask the host to allow it.',
  },
  session_gone: {
    title: 'You were disconnected for too long',
    meaning: 'Your place in the meeting was given up.',
    advice: 'Join again; the meeting is still there.',
  },
  rate_limited: {
    title: 'That was a little fast',
    meaning: 'The server asks everybody to slow down now and then.',
    advice: 'Wait a few seconds and try again.',
  },
  flooding: {
    title: 'You were disconnected',
    meaning: 'This page sent far more messages than the server allows.',
    advice: 'Close other tabs of this meeting, then join again.',
  },
  room_full: {
    title: 'The meeting is full',
    meaning: 'It has reached the number of people it may hold.',
    advice: 'Try again when somebody has left.',
  },
  joined_too_often: {
    title: 'You are in this meeting too many times',
    meaning: 'You have it open in as many windows or devices as one person may use at a time.',
    advice: 'Close the others. One that just closed without leaving is free again within a minute.',
  },
  tenant_limit_reached: {
    title: 'No more people can join at the moment',
    meaning: 'The application that invited you has as many people or meetings as it may have at a time.',
    advice: 'Try again when somebody has left, or tell whoever invited you.',
  },
  limit_reached: {
    title: 'A limit of the meeting is reached',
    meaning: 'There are as many of these as one person, or the whole meeting, may have at a time.',
    advice: 'Try again when there are fewer, for example after you stopped one of your own.',
  },
  no_media_node: {
    title: 'All servers are busy',
    meaning: 'No media server can take one more person at the moment.',
    advice: 'Try again in a minute.',
  },
  media_unavailable: {
    title: 'Your media server does not answer',
    meaning: 'Sound and picture may be interrupted.',
    advice: 'Wait a moment: it is tried again by itself.',
  },
  media_lost: {
    title: 'Sound and picture are interrupted',
    meaning: 'Your media server went away.',
    advice: 'Wait a moment: you are being moved to another one.',
  },
  store_unavailable: {
    title: 'Nobody can join at this moment',
    meaning: 'Running meetings go on, but new people have to wait until a part of the service is back.',
    advice: 'Try again in a minute.',
  },
  stale_epoch: {
    title: 'You were just being moved to another media server',
    meaning: 'What you asked for concerned the one before.',
    advice: 'Try it once more.',
  },
  peer_not_found: {
    title: 'That person is not here any more',
    meaning: 'They left the meeting at the same moment.',
    advice: 'There is nothing to do.',
  },
  track_not_found: {
    title: 'That sound or picture is not there any more',
    meaning: 'It was switched off at the same moment.',
    advice: 'There is nothing to do.',
  },
  consumer_not_found: {
    title: 'That video is not being received any more',
    meaning: 'It was closed at the same moment.',
    advice: 'Wait a moment: it comes again by itself if it is still there.',
  },
  transport_not_found: {
    title: 'Your path for sound and picture was replaced',
    meaning: 'It was renewed at the same moment.',
    advice: 'Wait a moment: it is tried again by itself.',
  },
  cannot_consume: {
    title: 'One video cannot be shown',
    meaning: 'Your browser cannot decode the format it is sent in.',
    advice: 'Use a current version of Chrome, Edge, Firefox or Safari.',
  },
  port_slice_overlap: {
    title: 'A media server is set up wrongly',
    meaning: 'Its ports belong to another one.',
    advice: 'Tell whoever runs this service.',
  },
  id_taken: {
    title: 'A server is set up wrongly',
    meaning: 'Two of them have the same name.',
    advice: 'Tell whoever runs this service.',
  },
  unauthorised: {
    title: 'Parts of the service do not trust each other',
    meaning: 'They have different keys.',
    advice: 'Tell whoever runs this service.',
  },
  replaced: {
    title: 'You continued somewhere else',
    meaning: 'The meeting was taken up by another tab or window of yours.',
    advice: 'Go on there, or join again here.',
  },
  timed_out: {
    title: 'The server did not answer',
    meaning: 'Your connection, or the server, was too slow or is gone.',
    advice: 'Check your internet connection and try again.',
  },
  shutting_down: {
    title: 'The server is being restarted',
    meaning: 'You are moved to another one.',
    advice: 'Wait a moment, or join again.',
  },
};

/** What was refused for where the page is, and not for whom it is for. */
const SITE_REFUSED: PersonReadableError = {
  title: 'This site is not allowed to open meetings of this server',
  meaning: 'The server does not know the address of this page for one of its own.',
  advice: 'Open the meeting at the address that you were given, or tell whoever runs this service.',
};

/** Nobody becomes a guest by it who came as somebody. */
const KEPT_IS_UNREADABLE: PersonReadableError = {
  title: 'Your browser does not say who you were here',
  meaning:
    'You were in this meeting before in this tab. What the browser kept of that cannot be read at the moment.',
  advice: 'Try again. If that does not help, start the browser anew, or come by your invitation once more.',
};

/** Whether the browser kept who this person was in the meeting, and does not give it now. */
export function isKeptUnreadable({
  code,
  detail,
}: {
  readonly code: ErrorCode;
  readonly detail?: Pick<ErrorDetail, 'reason'> | undefined;
}): boolean {
  return code === 'browser_failed' && detail?.reason === KEPT_UNREADABLE;
}

/**
 * What a person reads for an error code.
 * @param detail - of the error, where there is one
 */
export function errorForPeople(code: ErrorCode, detail?: Pick<ErrorDetail, 'reason'>): PersonReadableError {
  if (code === 'forbidden' && detail?.reason === 'origin') return SITE_REFUSED;
  return isKeptUnreadable({ code, detail }) ? KEPT_IS_UNREADABLE : FOR_PEOPLE[code];
}
