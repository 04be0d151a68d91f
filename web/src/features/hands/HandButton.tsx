import type { MeetingSnapshot } from '../../client/index.ts';
import { Control } from '../../components/Control.tsx';
import { raisedHands } from './hands.ts';

/** The button that raises and lowers the user's hand. */
export function HandButton({
  snapshot,
  onToggle,
}: {
  readonly snapshot: Pick<MeetingSnapshot, 'room' | 'self'>;
  readonly onToggle: () => void;
}) {
  const { room, self } = snapshot;
  const isUp = self !== undefined && raisedHands(room).has(self.peerId);
  return (
    <Control
      icon="hand"
      label={isUp ? 'Lower your hand' : 'Raise your hand'}
      testId="hand-button"
      tone={isUp ? 'active' : undefined}
      pressed={isUp}
      onClick={onToggle}
    />
  );
}
