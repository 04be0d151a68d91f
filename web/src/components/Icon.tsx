import type { ReactNode } from 'react';

const PATHS = {
  mic: (
    <>
      <rect x="9" y="3" width="6" height="11" rx="3" />
      <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
    </>
  ),
  'mic-off': (
    <>
      <path d="M9 9v2a3 3 0 0 0 4.6 2.5M15 10V6a3 3 0 0 0-5.8-1" />
      <path d="M5.5 11.5a6.5 6.5 0 0 0 10.2 5.3M18.2 13.5a6.4 6.4 0 0 0 .3-2M12 18v3M4 3l16 18" />
    </>
  ),
  camera: (
    <>
      <rect x="3" y="6" width="12.5" height="12" rx="3" />
      <path d="m15.5 11 5.5-3.5v9L15.5 13" />
    </>
  ),
  'camera-off': (
    <>
      <path d="M9.5 6H12.500a3 3 0 0 1 3 3v2l5.5-3.500v9l-3.2-2M14.8 16.800A3 3 0 0 1 12.5 18H6a3 3 0 0 1-3-3V9a3 3 0 0 1 2-2.800M4 3l16 18" />
    </>
  ),
  screen: (
    <>
      <rect x="3" y="4" width="18" height="13" rx="2.5" />
      <path d="M8.5 21h7M12 13.500v-6M9 10l3-3 3 3" />
    </>
  ),
  people: (
    <>
      <circle cx="9" cy="8" r="3.5" />
      <path d="M2.5 20a6.5 6.5 0 0 1 13 0M16 4.800a3.5 3.5 0 0 1 0 6.400M18 14.300a6.5 6.5 0 0 1 3.5 5.7" />
    </>
  ),
  chat: (
    <path d="M4 5.500h16a1 1 0 0 1 1 1v9.500a1 1 0 0 1-1 1h-7.500L8 21v-4H4a1 1 0 0 1-1-1V6.500a1 1 0 0 1 1-1Z" />
  ),
  hand: (
    <path d="M8 12V5.500a1.500 1.500 0 0 1 3 0V11m0-6.500v-1a1.500 1.500 0 0 1 3 0V11m0-5.500a1.500 1.500 0 0 1 3 0V12m0-3a1.500 1.500 0 0 1 3 0v5.500a6.500 6.500 0 0 1-6.500 6.500c-2.600 0-4.300-1-5.700-3L4.300 14a1.600 1.600 0 0 1 2.600-1.800L8 13.500" />
  ),
  leave: <path d="M3 13.500c5-5 13-5 18 0l-2.5 3-4-1.800v-3.400a14 14 0 0 0-5 0v3.400l-4 1.800Z" />,
  close: <path d="M6 6l12 12M18 6 6 18" />,
  link: (
    <path d="M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.300l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.700l1-1" />
  ),
  dice: <path d="M4 9a8 8 0 0 1 14-3l2 2M20 4v4h-4M20 15a8 8 0 0 1-14 3l-2-2M4 20v-4h4" />,
  send: <path d="M4 12 20 4l-5 16-3.5-6.500Z" />,
  chevron: <path d="m6 15 6-6 6 6" />,
  left: <path d="m15 5-7 7 7 7" />,
  right: <path d="m9 5 7 7-7 7" />,
  sound: <path d="M4 9.500v5h3.500L12 18.500v-13L7.5 9.500ZM15.5 9a4 4 0 0 1 0 6M18 6.500a8 8 0 0 1 0 11" />,
  warning: <path d="M12 4 2.8 19.500h18.400ZM12 10v4.500M12 17v.2" />,
  check: <path d="m5 12.5 4.5 4.500L19 7.5" />,
} as const satisfies Record<string, ReactNode>;

export type IconName = keyof typeof PATHS;

/** A line icon in the colour of its text. It is decoration: the control around it carries the name. */
export function Icon({ name, size = 22 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg
      className="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {PATHS[name]}
    </svg>
  );
}

/** The logo of the project. */
export function Logo() {
  return (
    <span className="logo">
      <svg width="30" height="30" viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="9" fill="var(--accent)" />
        <circle cx="16" cy="16" r="4" fill="#fff" />
        <path
          d="M8.4 21.600a9.5 9.5 0 0 1 0-11.200M23.6 10.400a9.5 9.5 0 0 1 0 11.2"
          fill="none"
          stroke="#fff"
          strokeWidth="2.6"
          strokeLinecap="round"
        />
      </svg>
      <span>Plenary</span>
    </span>
  );
}
