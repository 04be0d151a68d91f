/** A rule of the cluster that did not hold; its message begins with the rule's number in SPEC.md, where it has one. */
export class RuleBroken extends Error {
  override readonly name = 'RuleBroken';
}
