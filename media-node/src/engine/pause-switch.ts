/**
 * Pauses and resumes in the order it is told. mediasoup's own `paused` follows only when the worker has answered: whoever
 * compared with it would drop a resume that comes while a pause is under way, and the track would stay paused for good.
 */
export class PauseSwitch {
  readonly #call: (paused: boolean) => Promise<void>;
  #wanted: boolean;
  #settled: Promise<void> = Promise.resolve();

  /** @param call - tells the worker, which carries out requests in the order they come */
  constructor(paused: boolean, call: (paused: boolean) => Promise<void>) {
    this.#wanted = paused;
    this.#call = call;
  }

  /** What was asked for already costs no call. @throws what the call throws */
  set(paused: boolean): Promise<void> {
    if (this.#wanted !== paused) {
      this.#wanted = paused;
      this.#settled = this.#call(paused);
    }
    return this.#settled;
  }
}
