/** Make before break: one table for replacing a consumer, a published track or a media session while it carries packets. */
export { Replaceable, type ReplaceableEffects } from './replaceable.ts';
export type { CloseReason, ReplaceableState } from './transition.ts';
