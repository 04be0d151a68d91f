/** The reason why a node does not start, in one sentence for the operator. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
}
