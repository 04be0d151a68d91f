import { Icon, type IconName } from './Icon.tsx';

export interface ControlProps {
  readonly icon: IconName;
  readonly label: string;
  readonly testId: string;
  readonly onClick: () => void;
  readonly tone?: 'off' | 'waiting' | 'active' | 'danger' | undefined;
  readonly pressed?: boolean | 'mixed';
  readonly badge?: number | undefined;
}

/** A button of the meeting that shows whether it is on. */
export function Control({ icon, label, testId, onClick, tone, pressed, badge }: ControlProps) {
  return (
    <button
      className={`control ${tone === undefined ? '' : `is-${tone}`}`}
      onClick={onClick}
      aria-label={label}
      aria-pressed={pressed}
      title={label}
      data-testid={testId}
    >
      <Icon name={icon} />
      {badge === undefined || badge === 0 ? null : (
        <span className="badge" data-testid={`${testId}-badge`}>
          {badge > 99 ? '99+' : badge}
        </span>
      )}
    </button>
  );
}
