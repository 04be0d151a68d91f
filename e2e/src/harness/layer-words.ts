import type { Page } from 'playwright-core';

/** The messages about layers, on the way from a viewer to a publisher. */
const ASKED = '"consumers.update"';
const TOLD = '"track.demand"';

/** What a page asked for and was told of layers last, so that a test that waits for layers in vain names the stage that stands still. */
export class LayerWords {
  asked: string | undefined;
  told: string | undefined;

  constructor(page: Page) {
    page.on('websocket', (socket) => {
      socket.on('framesent', ({ payload }) => {
        if (payload.includes(ASKED)) this.asked = payload.toString();
      });
      socket.on('framereceived', ({ payload }) => {
        if (payload.includes(TOLD)) this.told = payload.toString();
      });
    });
  }
}
