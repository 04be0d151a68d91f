/** Why a node does not start: one sentence for whoever started it. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}
