import { EndFrame } from '../components/EndFrame.tsx';
import { Icon } from '../components/Icon.tsx';
import { errorForPeople, isKeptUnreadable, type ConnectionState } from '../client/index.ts';

export interface EndPageProps {
  readonly roomId: string;
  readonly connection: Extract<ConnectionState, { phase: 'left' | 'failed' }>;
  readonly onRejoin: () => void;
  /** `undefined` where joining needs an invitation. */
  readonly onJoinAsGuest: (() => void) | undefined;
}

/** The page after the meeting: the user left, or an error ended it, which the page explains. */
export function EndPage({ roomId, connection, onRejoin, onJoinAsGuest }: EndPageProps) {
  const failure =
    connection.phase === 'failed'
      ? errorForPeople(connection.error.code, connection.error.detail)
      : undefined;
  return (
    <EndFrame>
      <div
        className="end-card card"
        role={failure === undefined ? undefined : 'alert'}
        data-testid="connection-state"
        data-phase={connection.phase}
        data-error={connection.phase === 'failed' ? connection.error.code : undefined}
      >
        <span className={`end-mark ${failure === undefined ? '' : 'is-problem'}`}>
          <Icon name={failure === undefined ? 'check' : 'warning'} size={30} />
        </span>
        <h1>{failure?.title ?? 'You left the meeting'}</h1>
        <p>{failure?.meaning ?? `You can come back to “${roomId}” at any time.`}</p>
        {failure === undefined ? null : <p className="advice">{failure.advice}</p>}
        <div className="end-buttons">
          <button className="button is-large" onClick={onRejoin} data-testid="rejoin-button" autoFocus>
            {failure === undefined ? 'Rejoin' : 'Try again'}
          </button>
          {connection.phase === 'failed' && isKeptUnreadable(connection.error) && onJoinAsGuest ? (
            <button
              className="button is-quiet is-large"
              onClick={onJoinAsGuest}
              data-testid="join-as-guest-button"
            >
              Go on as a guest
            </button>
          ) : null}
          <a className="button is-quiet is-large" href="/" data-testid="home-link">
            First page
          </a>
        </div>
        {connection.phase === 'failed' ? <p className="fine">Code: {connection.error.code}</p> : null}
      </div>
    </EndFrame>
  );
}
