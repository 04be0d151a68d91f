/**
 * How clients and edges treat what they do not know in messages of a newer edge of the same version (SPEC PR5, PR12,
 * PR16, PR17, PR18).
 */
import { z } from 'zod';
import { patternText } from './text.ts';

/** A code, a reason or a type that a later release added. */
const LATER_NAME = patternText(/^[a-z][a-z0-9_.]{0,63}$/, 64, 'must be a name');

/** An open list: any name outside it counts as `meant`. */
export const openTo = <const Name extends string>(
  known: z.ZodEnum<Record<Name, Name>>,
  meant: NoInfer<Name>,
) => z.union([known, LATER_NAME.transform(() => meant)]);

/** An event of a type that a later release added: it keeps its position in the room's order, and changes nothing. */
export const LATER_EVENT = z
  .looseObject({ type: LATER_NAME })
  .transform(({ type }) => ({ type: 'unknown' as const, name: type }));

/** The largest event of a later release, in bytes of JSON: above the longest event of this one. */
export const MAX_LATER_EVENT_BYTES = 65_536;

/**
 * An event that this release cannot read, on its way from an edge of a later release to clients that may understand
 * it. Its JSON is forwarded unchanged.
 */
export class LaterEvent {
  readonly type = 'unknown';
  readonly name: string;
  readonly #body: object;

  constructor(name: string, body: object) {
    this.name = name;
    this.#body = body;
  }

  toJSON(): object {
    return this.#body;
  }
}

/** An event of an unknown type. An event of a known type that does not fit its schema is refused. */
export const laterEventBeside = (known: ReadonlySet<string>) =>
  z
    .looseObject({ type: LATER_NAME })
    .refine(({ type }) => !known.has(type), 'does not fit the event of its type')
    .refine((body) => JSON.stringify(body).length <= MAX_LATER_EVENT_BYTES, 'must not be so large')
    .transform((body) => new LaterEvent(body.type, body));
