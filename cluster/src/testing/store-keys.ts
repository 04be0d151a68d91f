import { DEFAULT_NAMESPACE } from '../namespace.ts';
import { keysOf } from '../redis/keys.ts';

/** The keys of a cluster that was given no namespace. */
export const KEYS = keysOf(DEFAULT_NAMESPACE);
