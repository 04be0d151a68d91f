/** People in meetings, without a screen, for whoever tests Plenary from outside. */
export { makeJoinToken, type ApiCredentials, type Grants } from '../join-token.ts';
export { Bot, type BotOptions, type PublishOptions, type ReceivedStream } from './bot.ts';
export { closeLinks, makeLinks, mediaRequest, openLinks } from './bot-media.ts';
export { endMediaLinks } from './media-link.ts';
export { isRtcp, readRtpSsrc, readRtpTimestamp } from './rtp-packet.ts';
