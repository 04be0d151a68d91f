/** Make before break: one table, for whoever replaces a consumer, a published track or a media session while it carries. */
export { Replaceable, type ReplaceableEffects } from './replaceable.ts';
export type { CloseReason, ReplaceableState } from './transition.ts';
