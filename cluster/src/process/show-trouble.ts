/** Shows why something does not serve as a metric whose labels are the troubles: all at 0 while all is well. */
export function showTrouble<Trouble extends string>(
  gauge: { set(labels: { readonly reason: Trouble }, value: number): void },
  troubles: readonly Trouble[],
  trouble: Trouble | undefined,
): void {
  for (const reason of troubles) gauge.set({ reason }, reason === trouble ? 1 : 0);
}
