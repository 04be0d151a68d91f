// @ts-check

/**
 * A failure that a person can do something about. Its message says what happened, what it means and what to do;
 * it is printed as it is, without a stack trace, and the program ends with exit code 1.
 */
export class SetupError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'SetupError';
  }
}

/** The fetched file is not the one that we know. The setup stops at it, also where it could do without: somebody should know. */
export class TamperedError extends SetupError {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'TamperedError';
  }
}
