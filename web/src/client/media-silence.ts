import { isPathBroken } from './path-evidence.ts';
import type { MediaCounts } from './path-evidence.ts';

/** Silence of all tracks after which the edge is asked, in milliseconds. Most gaps are shorter. */
export const ASK_AFTER_MS = 800;
/**
 * Silence of tracks and ICE after which another path is sought, in milliseconds: browsers send an ICE check every 2.5 seconds.
 */
export const PATH_LOST_AFTER_MS = 3_500;
/** How long another path is sought before the media node counts as lost, in milliseconds: after an ICE restart browsers check at once. */
export const SEEK_FOR_MS = 2_500;
/** Wait before the media node is asked a second time, in milliseconds. */
export const ASK_AGAIN_AFTER_MS = 300;
const SILENCE_CHECK_INTERVAL_MS = 100;

/** A consumer that should carry packets. */
export interface Flow {
  /** Returns the timestamp of its last packet, which changes when packets arrive; `undefined` before the first. */
  readonly stamp: () => number | undefined;
}

export interface MediaSilenceEnvironment {
  /** Flows that should carry packets now: neither muted by the publisher nor paused here. */
  readonly flows: () => Iterable<readonly [id: string, flow: Flow]>;
  /**
   * Asks for the state of the media node after a silence of {@link ASK_AFTER_MS}: once in each silence, and a second time if the node is
   * alive. @returns the counts of both ends; `undefined` when the node is down or does not answer
   */
  readonly ask: () => Promise<MediaCounts | undefined>;
  /** Counts the ICE answers so far; `undefined` when the browser does not report them. */
  readonly iceAnswers: () => Promise<number | undefined>;
  /** The path is broken, or nothing arrived for {@link PATH_LOST_AFTER_MS}; and ICE is not answered either. */
  readonly pathLost: () => void;
  /** No path was found within {@link SEEK_FOR_MS}. */
  readonly nodeLost: () => void;
  /** {@link MediaSilence.flow} changed. */
  readonly flowChanged: () => void;
}

/**
 * Whether tracks of the others arrive: `arriving`; `silent`, for any reason; `lost`, because the path to the media node is lost; or
 * `unknown`, for example while nobody sends.
 */
export type MediaFlow = 'unknown' | 'arriving' | 'silent' | 'lost';

/** The stages of a silence, in order. */
type Stage = 'nothing' | 'silent' | 'pathLost' | 'nodeLost';

/**
 * Detects within a second that no packets arrive, where ICE needs five or more. Silence alone proves no loss: all publishers may be silent
 * at the same time. The path counts as lost only if the media node keeps sending, receives nothing of what this client sends, or answers
 * no ICE check either.
 */
export class MediaSilence {
  readonly #environment: MediaSilenceEnvironment;
  readonly #stamps = new Map<string, number>();
  /** The flow that moved last, which is checked first and is mostly sufficient. */
  #lastMoved: string | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #lastCheckMs = 0;
  /** When a packet arrived last; `undefined` before the first. */
  #lastFlowMs: number | undefined;
  #flow: MediaFlow = 'unknown';
  #stage: Stage = 'nothing';
  #pathLostMs = 0;
  /** ICE answers at the beginning of this silence. */
  #iceAnswers: Promise<number | undefined> = Promise.resolve(undefined);

  constructor(environment: MediaSilenceEnvironment) {
    this.#environment = environment;
  }

  /** Whether packets arrived before, but none for {@link ASK_AFTER_MS}. */
  get isSilent(): boolean {
    return this.#stage !== 'nothing';
  }

  get flow(): MediaFlow {
    return this.#flow;
  }

  /** Begins again, for new transports. */
  start(): void {
    this.stop();
    this.#lastCheckMs = performance.now();
    this.#timer = setInterval(() => this.#check(), SILENCE_CHECK_INTERVAL_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stamps.clear();
    this.#lastFlowMs = undefined;
    this.#stage = 'nothing';
    this.#setFlow('unknown');
  }

  #setFlow(flow: MediaFlow): void {
    if (flow === this.#flow) return;
    this.#flow = flow;
    this.#environment.flowChanged();
  }

  #check(): void {
    const nowMs = performance.now();
    const flows = new Map(this.#environment.flows());
    // No flow is expected; or this page itself was suspended, and packets that arrived meanwhile are about to be read.
    const isExcused = flows.size === 0 || nowMs - this.#lastCheckMs > ASK_AFTER_MS;
    this.#lastCheckMs = nowMs;
    const hasMoved = this.#hasMoved(flows);
    if (hasMoved || (isExcused && this.#lastFlowMs !== undefined)) {
      this.#lastFlowMs = nowMs;
      this.#stage = 'nothing';
      this.#setFlow(hasMoved ? 'arriving' : 'unknown');
      return;
    }
    if (this.#lastFlowMs === undefined) return;
    this.#advance(nowMs - this.#lastFlowMs, nowMs);
  }

  #advance(silentForMs: number, nowMs: number): void {
    if (this.#stage === 'nothing' && silentForMs >= ASK_AFTER_MS) {
      this.#stage = 'silent';
      this.#setFlow('silent');
      this.#iceAnswers = this.#environment.iceAnswers();
      void this.#askTwice();
    } else if (this.#stage === 'silent' && silentForMs >= PATH_LOST_AFTER_MS) {
      this.#losePath();
    } else if (this.#stage === 'pathLost' && nowMs - this.#pathLostMs >= SEEK_FOR_MS) {
      this.#stage = 'nodeLost';
      void this.#unlessIceAnswers(this.#environment.nodeLost);
    }
  }

  async #askTwice(): Promise<void> {
    const answers = this.#iceAnswers;
    const isSameSilence = (): boolean => this.#stage === 'silent' && this.#iceAnswers === answers;
    const before = await this.#environment.ask();
    if (before === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_AFTER_MS));
    if (!isSameSilence()) return;
    const now = await this.#environment.ask();
    if (now !== undefined && isPathBroken(before, now) && isSameSilence()) this.#losePath();
  }

  #losePath(): void {
    this.#stage = 'pathLost';
    this.#pathLostMs = performance.now();
    void this.#unlessIceAnswers(() => {
      this.#setFlow('lost');
      this.#environment.pathLost();
    });
  }

  async #unlessIceAnswers(action: () => void): Promise<void> {
    const [stage, answers] = [this.#stage, this.#iceAnswers];
    const [before, now] = await Promise.all([answers, this.#environment.iceAnswers()]);
    const isSameSilence = this.#stage === stage && this.#iceAnswers === answers;
    if (isSameSilence && before !== undefined && now === before) action();
  }

  #hasMoved(flows: ReadonlyMap<string, Flow>): boolean {
    const last = this.#lastMoved === undefined ? undefined : flows.get(this.#lastMoved);
    if (this.#lastMoved !== undefined && last !== undefined && this.#moved(this.#lastMoved, last))
      return true;
    // Updates the stamps of all flows: flows with old stamps would otherwise count as moved, one in each check.
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
