import { EndFrame } from '../components/EndFrame.tsx';
import { Icon } from '../components/Icon.tsx';
import { errorForPeople } from '../client/index.ts';

/** The page of a user without an invitation, for a room that needs one. */
export function InvitationPage({ roomId }: { readonly roomId: string }) {
  const { title, meaning, advice } = errorForPeople('guests_not_allowed');
  return (
    <EndFrame>
      <div className="end-card card" data-testid="needs-invitation">
        <span className="end-mark">
          <Icon name="link" size={30} />
        </span>
        <p className="eyebrow" data-testid="room-name">
          {roomId}
        </p>
        <h1>{title}</h1>
        <p>{meaning}</p>
        <p className="advice">{advice}</p>
      </div>
    </EndFrame>
  );
}
