import type { ReactNode } from 'react';
import { Logo } from './Icon.tsx';

/** The page of a user who is in no meeting: a link to the first page, and a card. */
export function EndFrame({ children }: { readonly children: ReactNode }) {
  return (
    <div className="page end">
      <header className="top">
        <a href="/" aria-label="Plenary, first page">
          <Logo />
        </a>
      </header>
      <main className="end-main">{children}</main>
    </div>
  );
}
