const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO)/;

/** The system's code of a failed connection; empty if there is none. */
export const codeOf = (error: Error): string =>
  'code' in error && typeof error.code === 'string' ? error.code : '';

/** Whether a connection failed because of TLS, for example an untrusted certificate. */
export const isTlsFault = (error: Error): boolean =>
  TLS_CODE.test(codeOf(error)) || /certificate|SSL routines/i.test(error.message);
