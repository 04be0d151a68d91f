import type { Page } from 'playwright-core';

/** The messages about layers, on the path from a viewer to a publisher. */
const REQUEST = '"consumers.update"';
const ANNOUNCEMENT = '"track.demand"';

/** The last messages about layers that a page sent and received. A test that waits for layers in vain names the stuck stage by them. */
export class LayerMessages {
  requested: string | undefined;
  announced: string | undefined;

  constructor(page: Page) {
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => {
        if (payload.includes(REQUEST)) this.requested = payload.toString();
      });
      socket.on('framereceived', ({ payload }) => {
        if (payload.includes(ANNOUNCEMENT)) this.announced = payload.toString();
      });
    });
  }
}
