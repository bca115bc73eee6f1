/** Brings an open text up to date: what is new is added at its end, so that nothing scrolls. */

/** Lab's model of a text, as far as it counts here. */
export interface IText {
  readonly sharedModel: {
    getSource(): string;
    setSource(value: string): void;
    updateSource(start: number, end: number, value: string): void;
  };
}

/** Show a text; returns whether that changed anything. */
export function updateText({ sharedModel }: IText, text: string): boolean {
  const shown = sharedModel.getSource();
  const whole = asShown(text);
  if (whole === shown) {
    return false;
  }
  if (whole.startsWith(shown)) {
    sharedModel.updateSource(shown.length, shown.length, whole.slice(shown.length));
  } else {
    sharedModel.setSource(whole);
  }
  return true;
}

/** Tell whether something is a text's model. */
export function isText(model: object): model is IText {
  return 'sharedModel' in model && 'updateSource' in (model.sharedModel as object);
}

/** Return a text with its lines ended as Lab ends them when it opens a file. */
function asShown(text: string): string {
  return text.replace(text.includes('\r\n') ? /\r\n/g : /\r/g, '\n');
}
