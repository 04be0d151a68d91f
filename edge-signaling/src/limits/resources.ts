/** What things cost, and of what: the words in which costs are said (SPEC BU4). */
export const RESOURCES = ['work', 'mediasoup', 'store', 'bytes', 'deliveries'] as const;
export type Resource = (typeof RESOURCES)[number];

/** What something costs of each resource; what is absent costs nothing. */
export type Cost = Readonly<Partial<Record<Resource, number>>>;

/** Bytes of one event of a room beside what people wrote. */
export const BYTES_PER_EVENT = 250;

/** An event that everybody in the room is told of. */
export const eventTo = (people: number, bytes = 0): Cost => ({
  store: 1,
  deliveries: people,
  bytes: people * (BYTES_PER_EVENT + bytes),
});

/** What is given back for a change that made no event: nobody was told of anything. */
export const costOfNoEvent = (people: number): Cost => scaled({ ...eventTo(people), store: 0 }, -1);

/** @returns the cost times a factor */
export function scaled(cost: Cost, factor: number): Cost {
  return Object.fromEntries(
    RESOURCES.flatMap((resource) => {
      const amount = cost[resource];
      return amount === undefined ? [] : [[resource, amount * factor]];
    }),
  );
}
