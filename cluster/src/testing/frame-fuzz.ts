import fc from 'fast-check';

export { fc };

/** One frame of a fuzz: text or bytes as they go over a WebSocket. */
export type FuzzFrame = string | Uint8Array<ArrayBuffer>;

/** What one connection does: whether it enters the namespace first, and what it sends then. */
export interface FuzzLife {
  readonly enters: boolean;
  readonly frames: readonly FuzzFrame[];
}

export interface FuzzOptions {
  /** How many frames are sent in all, at least. */
  readonly frames: number;
  readonly seed: number;
}

/** The lives of one run: few, so that a failure shrinks to little. */
const LIVES_PER_RUN = 8;
const FRAMES_PER_LIFE = 8;
/** How many frames a run sends on the average, with room. */
const FRAMES_PER_RUN = 25;

/** As the environment says (`npm run fuzz`), else as many as a run of all tests has time for, by chance. */
export function fuzzOptions(defaultFrames: number): FuzzOptions {
  const { FUZZ_FRAMES, FUZZ_SEED } = process.env;
  const seed = FUZZ_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(FUZZ_SEED);
  return { frames: FUZZ_FRAMES === undefined ? defaultFrames : Number(FUZZ_FRAMES), seed };
}

/** What no parser likes, by kind of place. */
const ODD_VALUES = [
  '1e999',
  '-0',
  '123456789012345678901234567890',
  'null',
  'true',
  '"\\ud800"',
  '"\\ude00\\ud83d"',
  '"\\u0000"',
  '"\u202e"',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toJSON":1,"then":1,"length":-1}',
  '{"_placeholder":true,"num":0}',
  '[]',
  '{}',
];
const oddValue = fc.constantFrom(...ODD_VALUES);
/** Nested a little under, a little over, and far over what is read. */
const nested = fc
  .tuple(fc.constantFrom(8, 31, 32, 33, 400, 6_000, 16_000), fc.boolean())
  .map(([depth, inObjects]) =>
    inObjects ? `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}` : '['.repeat(depth) + ']'.repeat(depth),
  );
const long = fc
  .constantFrom(1_000, 32_767, 40_000, 65_000)
  .map((length) => JSON.stringify('x'.repeat(length)));
const json = fc.oneof(
  { weight: 3, arbitrary: fc.json({ maxDepth: 4 }) },
  { weight: 3, arbitrary: oddValue },
  { weight: 1, arbitrary: nested },
  { weight: 1, arbitrary: long },
);
/** An object with the fields that messages have, and with values that they do not have. */
const payload = (fields: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.tuple(fc.constantFrom(...fields), json), { maxLength: 6 })
    .map((pairs) => `{${pairs.map(([field, value]) => `${JSON.stringify(field)}:${value}`).join(',')}}`);

/** Frames that are messages by their form, for a protocol of these names and fields. */
function message(names: readonly string[], fields: readonly string[]): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...names) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('error', 'connect', 'disconnect', '__proto__', 'constructor', '', 'hello'),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 80 }) },
  );
  const id = fc.oneof(
    { weight: 4, arbitrary: fc.nat(9_999).map(String) },
    { weight: 2, arbitrary: fc.constant('') },
    { weight: 1, arbitrary: fc.constantFrom('007', '9007199254740992', '9'.repeat(40), '-1', '1.5', ' ') },
  );
  const values = fc.array(fc.oneof(payload(fields), json), { maxLength: 2 });
  return fc
    .tuple(id, name, values)
    .map(([number, title, given]) => `42${number}[${[JSON.stringify(title), ...given].join(',')}]`);
}

const FORMS = [
  ...['', '2', '3', '1', '5', '6', '2probe', '0{"sid":"x"}', 'b', 'bAAAA', '4'],
  ...[
    '40',
    '40{',
    '40{}',
    '40null',
    '40/admin,',
    '40/',
    '41',
    '41{}',
    '42',
    '42[]',
    '42[[]]',
    '42{}',
    '42/x,["a"]',
  ],
  ...[
    '43',
    '430[]',
    '44{}',
    '45',
    '451-["a",{"_placeholder":true,"num":0}]',
    '4510-[]',
    '46',
    '461-0[]',
    '47',
  ],
  ...['\u0000', '4\u0000', '42["join",', '42["join"]]', '42["join",{}] ', '42 ["join",{}]'],
];
const raw: fc.Arbitrary<FuzzFrame> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...FORMS) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => new Uint8Array(bytes)) },
);

/** The lives of connections that do what no client of ours does. */
export function fuzzLives(
  names: readonly string[],
  fields: readonly string[],
): fc.Arbitrary<readonly FuzzLife[]> {
  const life = fc.record({
    enters: fc.oneof(
      { weight: 5, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    ),
    frames: fc.array(
      fc.oneof({ weight: 6, arbitrary: message(names, fields) }, { weight: 1, arbitrary: raw }),
      {
        minLength: 1,
        maxLength: FRAMES_PER_LIFE,
      },
    ),
  });
  return fc.array(life, { minLength: 1, maxLength: LIVES_PER_RUN });
}

/**
 * Has lives lived, run by run, until enough frames were sent. What fails is shrunk to the least that still fails.
 * @param live - lives them and throws when anybody noticed
 * @returns how many frames were sent
 * @throws Error with the seed and the shrunk lives
 */
export async function fuzz<Life extends { readonly frames: readonly unknown[] }>(
  lives: fc.Arbitrary<readonly Life[]>,
  { frames, seed }: FuzzOptions,
  live: (lives: readonly Life[]) => Promise<void>,
): Promise<number> {
  let sent = 0;
  let round = 0;
  while (sent < frames) {
    const numRuns = Math.max(1, Math.ceil((frames - sent) / FRAMES_PER_RUN));
    // Told beforehand, for a machine that does not live to tell it afterwards.
    console.log(`fuzz: --frames ${frames} --seed ${seed + round}`);
    await fc.assert(
      fc.asyncProperty(lives, async (chosen) => {
        await live(chosen);
        for (const life of chosen) sent += life.frames.length;
      }),
      { seed: seed + round, numRuns, verbose: 1 },
    );
    round += 1;
  }
  return sent;
}
