/** Bots that take part in meetings without a user interface, for tests of Plenary from outside. */
export { makeJoinToken, type ApiCredentials, type Grants } from '../join-token.ts';
export { Bot, type BotOptions } from './bot.ts';
export type { PublishOptions } from './bot-publications.ts';
export type { ReceivedStream } from './bot-receptions.ts';
export { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
export { endMediaLinks } from './bot-transport.ts';
export { isRtcp, readRtpSsrc, readRtpTimestamp } from './rtp-packet.ts';
