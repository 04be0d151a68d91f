/** How long nothing at all may come before the edge is asked, in milliseconds. Most gaps are shorter. */
export const ASK_AFTER_MS = 800;
/**
 * How long neither media nor an answer of ICE may come before another path is sought, in milliseconds: browsers ask every 2.5
 * seconds.
 */
export const PATH_LOST_AFTER_MS = 3_500;
/** The same before the media node is given up. */
export const NODE_LOST_AFTER_MS = 7_000;
const LOOK_EVERY_MS = 100;

/** Something that is received and ought to flow. */
export interface Flow {
  /** The stamp of its last packet; another one means that something came. `undefined` before the first. */
  readonly stamp: () => number | undefined;
}

export interface MediaSilenceEnvironment {
  /** What ought to flow now: what is neither muted by its sender nor paused here. */
  readonly flows: () => Iterable<readonly [id: string, flow: Flow]>;
  /** Nothing came for {@link ASK_AFTER_MS}. Told once, until something comes again. */
  readonly silent: () => void;
  /** How often ICE was answered so far; `undefined` where the browser does not say. */
  readonly iceAnswers: () => Promise<number | undefined>;
  /** The same for {@link PATH_LOST_AFTER_MS}, and ICE is not answered any more either. */
  readonly pathLost: () => void;
  /** The same for {@link NODE_LOST_AFTER_MS}. */
  readonly nodeLost: () => void;
}

/** In the order in which they are told. */
type Told = 'nothing' | 'silent' | 'pathLost' | 'nodeLost';

/**
 * Notices within a second that media has stopped to come, where ICE takes five or more. It is a question and not an answer:
 * all others may have fallen silent at the same time. Only where the media node answers nothing else either, the path to it
 * is lost.
 */
export class MediaSilence {
  readonly #environment: MediaSilenceEnvironment;
  readonly #stamps = new Map<string, number>();
  /** The flow that moved last is looked at first, and mostly alone. */
  #lastMoved: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastLookMs = 0;
  /** When something came last; `undefined` until something has. */
  #lastFlowMs: number | undefined;
  #told: Told = 'nothing';
  /** Answers of ICE at the beginning of this silence. */
  #answers: Promise<number | undefined> = Promise.resolve(undefined);

  constructor(environment: MediaSilenceEnvironment) {
    this.#environment = environment;
  }

  /** Whether something came once, and nothing for {@link ASK_AFTER_MS}. */
  get isSilent(): boolean {
    return this.#told !== 'nothing';
  }

  /** Begins anew, as for new transports. */
  start(): void {
    this.stop();
    this.#lastLookMs = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stamps.clear();
    this.#lastFlowMs = undefined;
    this.#told = 'nothing';
  }

  #look(): void {
    const nowMs = performance.now();
    const flows = new Map(this.#environment.flows());
    // Nothing to miss; or this page stood still itself, and what came meanwhile is about to be read.
    const isExcused = flows.size === 0 || nowMs - this.#lastLookMs > ASK_AFTER_MS;
    this.#lastLookMs = nowMs;
    if (this.#hasMoved(flows) || (isExcused && this.#lastFlowMs !== undefined)) {
      this.#lastFlowMs = nowMs;
      this.#told = 'nothing';
      return;
    }
    if (this.#lastFlowMs === undefined) return;
    this.#tell(nowMs - this.#lastFlowMs);
  }

  #tell(silentForMs: number): void {
    const { silent, pathLost, nodeLost, iceAnswers } = this.#environment;
    if (this.#told === 'nothing' && silentForMs >= ASK_AFTER_MS) {
      this.#told = 'silent';
      this.#answers = iceAnswers();
      silent();
    } else if (this.#told === 'silent' && silentForMs >= PATH_LOST_AFTER_MS) {
      this.#told = 'pathLost';
      void this.#unlessAnswered(pathLost);
    } else if (this.#told === 'pathLost' && silentForMs >= NODE_LOST_AFTER_MS) {
      this.#told = 'nodeLost';
      void this.#unlessAnswered(nodeLost);
    }
  }

  async #unlessAnswered(tell: () => void): Promise<void> {
    const [told, answers] = [this.#told, this.#answers];
    const [before, now] = await Promise.all([answers, this.#environment.iceAnswers()]);
    const isStillSo = this.#told === told && this.#answers === answers;
    if (isStillSo && before !== undefined && now === before) tell();
  }

  #hasMoved(flows: ReadonlyMap<string, Flow>): boolean {
    const last = this.#lastMoved === undefined ? undefined : flows.get(this.#lastMoved);
    if (this.#lastMoved !== undefined && last !== undefined && this.#moved(this.#lastMoved, last))
      return true;
    // Every one of them: those that nobody has looked at for long have moved since then, and would be found one at a look.
    const [first] = [...flows].filter(([id, flow]) => this.#moved(id, flow));
    if (first === undefined) return false;
    this.#lastMoved = first[0];
    return true;
  }

  #moved(id: string, flow: Flow): boolean {
    const stamp = flow.stamp();
    if (stamp === undefined || this.#stamps.get(id) === stamp) return false;
    this.#stamps.set(id, stamp);
    return true;
  }
}
