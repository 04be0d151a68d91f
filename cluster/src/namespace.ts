import { z } from 'zod';

/**
 * What keeps a cluster apart from others on the same Redis, the same Consul, or with the same secret: every key, channel and
 * service begins with it (SPEC NS1). Narrow, so that it means nothing to a pattern of Redis or a path of Consul.
 */
export const NAMESPACE = z
  .string()
  .max(32)
  .regex(/^[a-z][a-z0-9-]*$/, 'must be lower case letters, digits and "-", beginning with a letter')
  .brand('Namespace');
export type Namespace = z.infer<typeof NAMESPACE>;

export const DEFAULT_NAMESPACE = NAMESPACE.parse('plenary');
