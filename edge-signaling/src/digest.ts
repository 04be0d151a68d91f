import { createHash } from 'node:crypto';
import { DIGEST_LENGTH } from '@plenary/cluster';

/** A text as a media node is told of it: it can tell two of them apart, and learns neither. */
export const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
