/** What attackers use of the cluster's own code: they know all of it, and none of its secrets but those that a test gives them. */
export { LinkCaller } from '../control/link-caller.ts';
export {
  identityOfNodeKeys,
  identityOfSecrets,
  nodeKeyText,
  parseNodeKey,
} from '../keys/control-credential.ts';
export type { ControlIdentity } from '../keys/control-credential.ts';
export { mintIncarnation } from '../ids.ts';
export { ADMIN_REVOKE_PATH } from '../process/admin-rooms.ts';
export { adminKey, adminKeyText, authorizationOf } from '../process/admin-proof.ts';
export type { AdminSubject } from '../process/admin-proof.ts';
export { CONTROL_NOTICES } from '../protocol/edge-media.ts';
