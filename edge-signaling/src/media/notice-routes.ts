import { CONTROL_NOTICES, notice } from '@plenary/cluster';
import type { ControlNotice, NoticeRoute } from '@plenary/cluster';
import type { MediaNodeId } from '@plenary/cluster/ids';

/** Receives a media node's notices about its rooms and peers. */
export interface NoticeListener {
  onRoomEvents(mediaNodeId: MediaNodeId, notice: ControlNotice<'room.events'>): void;
  onSpeakers(mediaNodeId: MediaNodeId, notice: ControlNotice<'speakers'>): void;
  onConsumerClosed(mediaNodeId: MediaNodeId, notice: ControlNotice<'consumer.closed'>): void;
  onConsumerSuperseded(mediaNodeId: MediaNodeId, notice: ControlNotice<'consumer.superseded'>): void;
  onTrackDemand(mediaNodeId: MediaNodeId, notice: ControlNotice<'track.demand'>): void;
  onPublishingLimited(mediaNodeId: MediaNodeId, notice: ControlNotice<'publishing.limited'>): void;
  onPeerLost(mediaNodeId: MediaNodeId, notice: ControlNotice<'peer.lost'>): void;
  onPeerUnreached(mediaNodeId: MediaNodeId, notice: ControlNotice<'peer.unreached'>): void;
  onPeerMove(mediaNodeId: MediaNodeId, notice: ControlNotice<'peer.move'>): void;
}

/** Routes a media node's notices to the listener with the node's id: a node is believed about its own peers only (SPEC CL15). */
export function noticeRoutes(
  from: MediaNodeId,
  listener: NoticeListener,
  onMalformed: (detail: string) => void,
): Readonly<Record<string, NoticeRoute>> {
  return {
    'room.events': notice(
      CONTROL_NOTICES['room.events'],
      (news) => listener.onRoomEvents(from, news),
      onMalformed,
    ),
    speakers: notice(CONTROL_NOTICES['speakers'], (news) => listener.onSpeakers(from, news), onMalformed),
    'consumer.closed': notice(
      CONTROL_NOTICES['consumer.closed'],
      (news) => listener.onConsumerClosed(from, news),
      onMalformed,
    ),
    'consumer.superseded': notice(
      CONTROL_NOTICES['consumer.superseded'],
      (news) => listener.onConsumerSuperseded(from, news),
      onMalformed,
    ),
    'track.demand': notice(
      CONTROL_NOTICES['track.demand'],
      (news) => listener.onTrackDemand(from, news),
      onMalformed,
    ),
    'publishing.limited': notice(
      CONTROL_NOTICES['publishing.limited'],
      (news) => listener.onPublishingLimited(from, news),
      onMalformed,
    ),
    'peer.lost': notice(CONTROL_NOTICES['peer.lost'], (news) => listener.onPeerLost(from, news), onMalformed),
    'peer.unreached': notice(
      CONTROL_NOTICES['peer.unreached'],
      (news) => listener.onPeerUnreached(from, news),
      onMalformed,
    ),
    'peer.move': notice(CONTROL_NOTICES['peer.move'], (news) => listener.onPeerMove(from, news), onMalformed),
  };
}
