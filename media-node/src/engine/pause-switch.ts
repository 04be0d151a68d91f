/**
 * Pauses and resumes in the order of the requests. mediasoup's own `paused` changes only when the worker has
 * answered: comparing with it would drop a resume during a pause, and the track would stay paused permanently.
 */
export class PauseSwitch {
  readonly #call: (paused: boolean) => Promise<void>;
  #requested: boolean;
  #lastCall: Promise<void> = Promise.resolve();

  /** @param call - sends the change to the worker, which carries out requests in order */
  constructor(paused: boolean, call: (paused: boolean) => Promise<void>) {
    this.#requested = paused;
    this.#call = call;
  }

  /** The state requested last costs no call. @throws what the call throws */
  set(paused: boolean): Promise<void> {
    if (this.#requested !== paused) {
      this.#requested = paused;
      this.#lastCall = this.#call(paused);
    }
    return this.#lastCall;
  }
}
