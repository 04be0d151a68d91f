import { Component, type ReactNode } from 'react';
import { EndFrame } from './EndFrame.tsx';
import { Icon } from './Icon.tsx';

export interface BreakdownProps {
  /** Called when the page has failed: without buttons the user cannot stop devices and meeting, so the owner must. */
  readonly onBreakdown: () => void;
  readonly children: ReactNode;
}

/** Shows that the page itself has failed, instead of an empty window with a microphone that nobody can mute. */
export class Breakdown extends Component<BreakdownProps, { readonly isBroken: boolean }> {
  override readonly state = { isBroken: false };

  static getDerivedStateFromError(): { readonly isBroken: boolean } {
    return { isBroken: true };
  }

  override componentDidCatch(): void {
    this.props.onBreakdown();
  }

  override render(): ReactNode {
    if (!this.state.isBroken) return this.props.children;
    return (
      <EndFrame>
        <div className="end-card card" role="alert" data-testid="breakdown">
          <span className="end-mark is-problem">
            <Icon name="warning" size={30} />
          </span>
          <h1>This page stopped working</h1>
          <p>
            Something on it failed, so you are not in a meeting any more: nobody hears or sees you. The
            meeting itself goes on.
          </p>
          <p className="advice">Load the page anew to come back.</p>
          <div className="end-buttons">
            <button className="button is-large" onClick={() => globalThis.location.reload()} autoFocus>
              Load anew
            </button>
          </div>
        </div>
      </EndFrame>
    );
  }
}
