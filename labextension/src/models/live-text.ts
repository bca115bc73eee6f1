/** Updates an open text; new text is appended, so that nothing scrolls. */

/** The parts of Lab's text model that are used here. */
export interface IText {
  readonly sharedModel: {
    getSource(): string;
    setSource(value: string): void;
    updateSource(start: number, end: number, value: string): void;
  };
}

/** Show a text; return whether anything changed. */
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

/** Return whether something is a text's model. */
export function isText(model: object): model is IText {
  return 'sharedModel' in model && 'updateSource' in (model.sharedModel as object);
}

/** Return a text with the line ends that Lab uses for open files. */
function asShown(text: string): string {
  return text.replace(text.includes('\r\n') ? /\r\n/g : /\r/g, '\n');
}
