import { answerDrainRequest, MAX_ADMIN_BODY_BYTES } from '@plenary/cluster';
import type { AdminSettings } from '@plenary/cluster';
import { json } from './port.ts';
import type { HttpHandler } from './port.ts';

/** Lets operators drain this edge. Only there with PLENARY_ADMIN_TOKEN. */
export function handleAdminDrain(settings: AdminSettings): HttpHandler {
  return async (request) => {
    const { status, body } = await answerDrainRequest(settings, {
      method: request.method,
      authorization: request.header('authorization'),
      body: async () => new TextDecoder().decode(await request.body(MAX_ADMIN_BODY_BYTES)),
    });
    return json(status, body);
  };
}
