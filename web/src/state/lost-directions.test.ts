import { expect, test } from 'vitest';
import { bannerText } from './notices.ts';

const CONNECTIONS = [
  { phase: 'joined', edgeUrl: 'http://edge.test' },
  { phase: 'reconnecting', attempt: 0, reason: 'transport close' },
] as const;

test.each(CONNECTIONS)(
  '[WB63] while only the path for sending is lost ($phase), the banner says so',
  (connection) => {
    const text = bannerText({ connection, media: 'reconnecting', flow: 'arriving' });
    expect(text).toContain('the others may not see or hear you');
    expect(text).not.toContain('Nothing arrives');
  },
);
