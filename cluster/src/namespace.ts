import { z } from 'zod';

/**
 * Separates a cluster from others on the same Redis, the same Consul, or with the same secret: every key, channel and
 * service name begins with it (SPEC NS1). It contains no character with a meaning in a Redis pattern or a Consul
 * path.
 */
export const NAMESPACE = z
  .string()
  .max(32)
  .regex(/^[a-z][a-z0-9-]*$/, 'must be lower case letters, digits and "-", beginning with a letter')
  .brand('Namespace');
export type Namespace = z.infer<typeof NAMESPACE>;

export const DEFAULT_NAMESPACE = NAMESPACE.parse('plenary');
