/** The reasons why an edge refuses a connection, sent in the body of the 403; the protocol page explains each of them. */
export const CONNECTION_REFUSALS = [
  'origin',
  'too_many_sockets',
  'too_many_idle',
  'too_fast',
  'busy',
  'full',
  'shutting_down',
  'no_control_link',
  'clock_off',
  'internal',
] as const;
export type ConnectionRefusal = (typeof CONNECTION_REFUSALS)[number];
