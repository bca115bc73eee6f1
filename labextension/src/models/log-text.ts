/** Logs as plain text: an editor shows the colours of a terminal as codes. */

// CSI and OSC sequences of ECMA-48, as IPython's tracebacks and progress bars write them.
const SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g;

/** Return a log without a terminal's control sequences. */
export function plainLog(text: string): string {
  return text.replace(SEQUENCES, '');
}
