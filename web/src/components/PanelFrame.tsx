import type { ReactNode } from 'react';
import { Icon } from './Icon.tsx';

export interface PanelFrameProps {
  readonly title: string;
  readonly count?: number;
  readonly onClose: () => void;
  readonly testId: string;
  readonly children: ReactNode;
}

/** A side panel on a wide window, a sheet over the stage on a narrow one. Escape closes it. */
export function PanelFrame({ title, count, onClose, testId, children }: PanelFrameProps) {
  return (
    <aside
      className="panel card"
      aria-label={title}
      data-testid={testId}
      onKeyDown={(event) => {
        if (event.key === 'Escape') onClose();
      }}
    >
      <header className="panel-head">
        <h2>
          {title}
          {count === undefined ? null : <span className="count">{count}</span>}
        </h2>
        <button
          className="icon-button"
          onClick={onClose}
          aria-label={`Close ${title.toLowerCase()}`}
          data-testid="panel-close"
        >
          <Icon name="close" size={18} />
        </button>
      </header>
      {children}
    </aside>
  );
}
