import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';
import { Toasts } from './Notices.tsx';

test('[WB17] a problem is announced by screen readers, and its toast stays a button', () => {
  const toasts = [
    { id: 1, text: 'Your camera is off', tone: 'problem' },
    { id: 2, text: 'Bob joined', tone: 'info' },
  ] as const;
  const html = renderToStaticMarkup(<Toasts toasts={toasts} onDismiss={() => undefined} />);
  expect(html).not.toMatch(/<button[^>]* role=/);
  expect(html).toMatch(/<div[^>]* role="alert"><button[^>]*>.*Your camera is off<\/span><\/button><\/div>/);
  expect(html.match(/role="alert"/g)).toHaveLength(1);
});
