import type { Store } from '../client/index.ts';
import type { Toast, UiState } from './ui-state.ts';

const TOAST_MS = 5_000;
/** A problem is shown longer, because it says what to do. */
const PROBLEM_TOAST_MS = 12_000;
const MAX_TOASTS = 3;

/** Shows a short message. */
export type ShowToast = (text: string, tone?: Toast['tone']) => void;

/** The short messages on the screen, which disappear after some seconds. */
export class Toasts {
  readonly #ui: Store<UiState>;
  #nextId = 1;

  constructor(ui: Store<UiState>) {
    this.#ui = ui;
  }

  show(text: string, tone: Toast['tone'] = 'info'): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#ui.update((state) => ({ ...state, toasts: newestToasts([...state.toasts, { id, text, tone }]) }));
    setTimeout(
      () => {
        this.dismiss(id);
      },
      tone === 'problem' ? PROBLEM_TOAST_MS : TOAST_MS,
    );
  }

  dismiss(id: number): void {
    this.#ui.update((state) => ({ ...state, toasts: state.toasts.filter((toast) => toast.id !== id) }));
  }
}

/** Drops the oldest toast beyond the limit. Problems are dropped only when no other toast is left. */
function newestToasts(toasts: readonly Toast[]): readonly Toast[] {
  if (toasts.length <= MAX_TOASTS) return toasts;
  const oldest = toasts.find(({ tone }) => tone === 'info') ?? toasts[0];
  return toasts.filter((toast) => toast !== oldest);
}
