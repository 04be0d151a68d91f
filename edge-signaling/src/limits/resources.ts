/** The resources that requests are charged for (SPEC BU4). */
export const RESOURCES = ['work', 'mediasoup', 'store', 'bytes', 'deliveries'] as const;
export type Resource = (typeof RESOURCES)[number];

/** The amount of each resource that something costs; an absent resource costs nothing. */
export type Cost = Readonly<Partial<Record<Resource, number>>>;

/** Bytes of one event of a room without the text that people wrote. */
export const BYTES_PER_EVENT = 250;

/** The cost of an event that everybody in the room receives. */
export const eventTo = (people: number, bytes = 0): Cost => ({
  store: 1,
  deliveries: people,
  bytes: people * (BYTES_PER_EVENT + bytes),
});

/** The refund for a change that made no event, so that nothing was delivered. */
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
