import { isPathBroken } from './path-evidence.ts';
import type { MediaCounts } from './path-evidence.ts';

/** How long nothing at all may come before the edge is asked, in milliseconds. Most gaps are shorter. */
export const ASK_AFTER_MS = 800;
/**
 * How long neither media nor an answer of ICE may come before another path is sought, in milliseconds: browsers ask every 2.5
 * seconds.
 */
export const PATH_LOST_AFTER_MS = 3_500;
/** How long another path may be sought before the media node is given up, in milliseconds: restarted, browsers ask at once. */
export const SEEK_FOR_MS = 2_500;
/** After this time the media node is asked a second time, in milliseconds. */
export const ASK_AGAIN_AFTER_MS = 300;
const LOOK_EVERY_MS = 100;

/** Something that is received and ought to flow. */
export interface Flow {
  /** The stamp of its last packet; another one means that something came. `undefined` before the first. */
  readonly stamp: () => number | undefined;
}

export interface MediaSilenceEnvironment {
  /** What ought to flow now: what is neither muted by its sender nor paused here. */
  readonly flows: () => Iterable<readonly [id: string, flow: Flow]>;
  /**
   * Nothing came for {@link ASK_AFTER_MS}: asks what became of the media node, once in each silence, and a second time where
   * it is there. @returns what both ends count; `undefined` where the node is not there, or does not answer
   */
  readonly ask: () => Promise<MediaCounts | undefined>;
  /** How often ICE was answered so far; `undefined` where the browser does not say. */
  readonly iceAnswers: () => Promise<number | undefined>;
  /** The path is broken, or nothing came for {@link PATH_LOST_AFTER_MS}; and ICE is not answered either. */
  readonly pathLost: () => void;
  /** No path was found within {@link SEEK_FOR_MS}. */
  readonly nodeLost: () => void;
  /** {@link MediaSilence.flow} is another one. */
  readonly flowChanged: () => void;
}

/**
 * What is known of what the others send: it arrives; it does not, for whatever reason; it does not because the path to the media
 * node is lost; or nothing is known, as while nobody sends anything.
 */
export type MediaFlow = 'unknown' | 'arriving' | 'silent' | 'lost';

/** In the order in which they are told. */
type Told = 'nothing' | 'silent' | 'pathLost' | 'nodeLost';

/**
 * Notices within a second that media has stopped to come, where ICE takes five or more. It is a question and not an answer:
 * all others may have fallen silent at the same time. Only where the media node sends all the while, gets nothing of what is
 * sent to it, or answers nothing else either, the path to it is lost.
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
  #flow: MediaFlow = 'unknown';
  #told: Told = 'nothing';
  #pathLostMs = 0;
  /** Answers of ICE at the beginning of this silence. */
  #answers: Promise<number | undefined> = Promise.resolve(undefined);

  constructor(environment: MediaSilenceEnvironment) {
    this.#environment = environment;
  }

  /** Whether something came once, and nothing for {@link ASK_AFTER_MS}. */
  get isSilent(): boolean {
    return this.#told !== 'nothing';
  }

  get flow(): MediaFlow {
    return this.#flow;
  }

  /** Begins anew, as for new transports. */
  start(): void {
    this.stop();
    this.#lastLookMs = performance.now();
    this.#timer = setInterval(() => this.#check(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stamps.clear();
    this.#lastFlowMs = undefined;
    this.#told = 'nothing';
    this.#see('unknown');
  }

  #see(flow: MediaFlow): void {
    if (flow === this.#flow) return;
    this.#flow = flow;
    this.#environment.flowChanged();
  }

  #check(): void {
    const nowMs = performance.now();
    const flows = new Map(this.#environment.flows());
    // Nothing to miss; or this page stood still itself, and what came meanwhile is about to be read.
    const isExcused = flows.size === 0 || nowMs - this.#lastLookMs > ASK_AFTER_MS;
    this.#lastLookMs = nowMs;
    const hasMoved = this.#hasMoved(flows);
    if (hasMoved || (isExcused && this.#lastFlowMs !== undefined)) {
      this.#lastFlowMs = nowMs;
      this.#told = 'nothing';
      this.#see(hasMoved ? 'arriving' : 'unknown');
      return;
    }
    if (this.#lastFlowMs === undefined) return;
    this.#tell(nowMs - this.#lastFlowMs, nowMs);
  }

  #tell(silentForMs: number, nowMs: number): void {
    if (this.#told === 'nothing' && silentForMs >= ASK_AFTER_MS) {
      this.#told = 'silent';
      this.#see('silent');
      this.#answers = this.#environment.iceAnswers();
      void this.#askTwice();
    } else if (this.#told === 'silent' && silentForMs >= PATH_LOST_AFTER_MS) {
      this.#losePath();
    } else if (this.#told === 'pathLost' && nowMs - this.#pathLostMs >= SEEK_FOR_MS) {
      this.#told = 'nodeLost';
      void this.#unlessAnswered(this.#environment.nodeLost);
    }
  }

  async #askTwice(): Promise<void> {
    const answers = this.#answers;
    const isStillSo = (): boolean => this.#told === 'silent' && this.#answers === answers;
    const before = await this.#environment.ask();
    if (before === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_AFTER_MS));
    if (!isStillSo()) return;
    const now = await this.#environment.ask();
    if (now !== undefined && isPathBroken(before, now) && isStillSo()) this.#losePath();
  }

  #losePath(): void {
    this.#told = 'pathLost';
    this.#pathLostMs = performance.now();
    void this.#unlessAnswered(() => {
      this.#see('lost');
      this.#environment.pathLost();
    });
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
