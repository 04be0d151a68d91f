/** Why an edge refuses to open a connection, as the body of the 403 says; the protocol page has each of them. */
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
