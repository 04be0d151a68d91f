// First, because the modules below use these functions.
import './older-browsers.ts';
// Second, because it configures every schema that the modules below create.
import './schemas-without-eval.ts';
import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';
import type { Meeting } from './client/index.ts';
import { RoomController } from './state/room-controller.ts';
import { hasNewToken, parseRoute, roomPath } from './state/route.ts';
import './styles/base.css';
import './styles/pages.css';
import './styles/meeting.css';
import './styles/panels.css';
import './features/hands/hands.css';

declare global {
  interface Window {
    /**
     * The meeting of this page, for support and tests: `plenary.joinTimings`, `await plenary.stats()`,
     * `plenary.counters`, `plenary.getSnapshot()`. It is not a stable interface.
     */
    plenary?: Meeting;
  }
}

const route = parseRoute(new URL(window.location.href));
const controller = route.page === 'room' ? new RoomController(route) : undefined;

if (route.page === 'room' && window.location.pathname !== roomPath(route.roomId)) {
  // The canonical address of the room, so that people share one spelling.
  const { search, hash } = window.location;
  window.history.replaceState(window.history.state, '', roomPath(route.roomId) + search + hash);
}

window.addEventListener('hashchange', () => {
  if (hasNewToken(route, parseRoute(new URL(window.location.href)))) window.location.reload();
});

if (controller !== undefined) {
  window.plenary = controller.meeting;
  controller.start();
  window.addEventListener('pagehide', () => {
    controller.leaveNow();
  });
  // Firefox closes sockets at `beforeunload`, so at `pagehide` it is too late to announce the leave. Other browsers keep them if the page stays.
  if ('mozInnerScreenX' in window) {
    window.addEventListener('beforeunload', () => {
      controller.meeting.unloadBegins();
    });
  }
  window.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) controller.pageShownAgain();
  });
  window.addEventListener('online', () => {
    controller.meeting.networkReturned();
  });
}

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
createRoot(root).render(<App route={route} controller={controller} />);
