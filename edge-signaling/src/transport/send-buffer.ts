/** What may wait for a slow client, in bytes; a join's answer in a large room is some hundred kilobytes. */
export const MAX_SEND_BUFFER_BYTES = 4_194_304;
