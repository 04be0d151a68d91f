import { fileURLToPath } from 'node:url';

const fixture = fileURLToPath(new URL('fixture-process.ts', import.meta.url));

/** Small programs in place of the edge and the media node. */
export const fixturePrograms = { edge: fixture, mediaNode: fixture };
