import type { ErrorCode } from '@plenary/cluster/errors';

/** An error as a person reads it: what happened, what it means for them, what they can do. */
export interface PersonReadableError {
  readonly title: string;
  readonly meaning: string;
  readonly advice: string;
}

const OUR_FAULT: PersonReadableError = {
  title: 'Something went wrong in Plenary',
  meaning: 'This page and the server did not understand each other. It is not your fault.',
  advice: 'Reload the page. If it happens again, tell whoever runs this service.',
};

const NOT_POSSIBLE: PersonReadableError = {
  title: 'That did not work',
  meaning: 'Part of the meeting changed at the same moment.',
  advice: 'Try it once more.',
};

/** Every code of the closed table; a new code does not compile until it is written here. */
const FOR_PEOPLE: Record<ErrorCode, PersonReadableError> = {
  malformed_message: OUR_FAULT,
  unknown_message: OUR_FAULT,
  out_of_order: OUR_FAULT,
  invalid_media_parameters: OUR_FAULT,
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
    meaning: 'The link was not made by this service, or was changed on its way.',
    advice: 'Ask for a new link to the meeting.',
  },
  token_expired: {
    title: 'This invitation has expired',
    meaning: 'Invitations last only a short time.',
    advice: 'Reload the page, or ask for a new link.',
  },
  token_wrong_room: {
    title: 'This invitation is for another meeting',
    meaning: 'The link you followed belongs to a different room.',
    advice: 'Check the link, or ask for the right one.',
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
  tenant_limit_reached: {
    title: 'No more people can join at the moment',
    meaning: 'The application that invited you has as many people or meetings as it may have at a time.',
    advice: 'Try again when somebody has left, or tell whoever invited you.',
  },
  limit_reached: {
    title: 'A limit of the meeting is reached',
    meaning: 'You already have as many of these as one person may have.',
    advice: 'Stop one of them first.',
  },
  no_media_node: {
    title: 'All servers are busy',
    meaning: 'No media server can take one more person at the moment.',
    advice: 'Try again in a minute.',
  },
  media_unavailable: {
    title: 'Sound and picture are interrupted',
    meaning: 'The media server does not answer.',
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
  stale_epoch: NOT_POSSIBLE,
  peer_not_found: NOT_POSSIBLE,
  track_not_found: NOT_POSSIBLE,
  consumer_not_found: NOT_POSSIBLE,
  transport_not_found: NOT_POSSIBLE,
  cannot_consume: {
    title: 'One video cannot be shown',
    meaning: 'Your browser cannot decode the format it is sent in.',
    advice: 'Use a current version of Chrome, Edge, Firefox or Safari.',
  },
  port_slice_overlap: OUR_FAULT,
  id_taken: OUR_FAULT,
  unauthorised: OUR_FAULT,
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

/** What a person reads for an error code. */
export function errorForPeople(code: ErrorCode): PersonReadableError {
  return FOR_PEOPLE[code];
}
