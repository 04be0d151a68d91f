/** Shows why something does not serve, as a metric with one label for each trouble: all are 0 while it serves. */
export function showTrouble<Trouble extends string>(
  gauge: { set(labels: { readonly reason: Trouble }, value: number): void },
  troubles: readonly Trouble[],
  trouble: Trouble | undefined,
): void {
  for (const reason of troubles) gauge.set({ reason }, reason === trouble ? 1 : 0);
}
