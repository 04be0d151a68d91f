import { createHash } from 'node:crypto';
import { DIGEST_LENGTH } from '@plenary/cluster';

/** The digest that a media node gets in place of a text: it can distinguish two texts, but does not learn them. */
export const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
