/** The selected runs in the panel and the keyboard's position, as in other lists. */

export interface ISelection {
  readonly runIds: ReadonlySet<string>;
  /** The start of a range selected with Shift. */
  readonly anchor: string | null;
}

export const NOTHING_SELECTED: ISelection = { runIds: new Set(), anchor: null };

/** Return the selection after a click on `runId`, one of `shown` in display order. */
export function select(
  selection: ISelection,
  runId: string,
  keys: { readonly toggle: boolean; readonly range: boolean },
  shown: readonly string[]
): ISelection {
  if (keys.range && selection.anchor !== null && shown.includes(selection.anchor)) {
    const [from, to] = [shown.indexOf(selection.anchor), shown.indexOf(runId)];
    const range = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
    return { runIds: new Set(range), anchor: selection.anchor };
  }
  if (keys.toggle) {
    const runIds = new Set(selection.runIds);
    if (!runIds.delete(runId)) {
      runIds.add(runId);
    }
    return { runIds, anchor: runId };
  }
  return { runIds: new Set([runId]), anchor: runId };
}

/** Return the selection of all shown runs. */
export function selectAll(selection: ISelection, shown: readonly string[]): ISelection {
  return { runIds: new Set(shown), anchor: selection.anchor ?? shown[0] ?? null };
}

/** Return the selection without runs that no longer exist; the same object if all exist. */
export function retain(selection: ISelection, shown: readonly string[]): ISelection {
  const there = new Set(shown);
  const runIds = [...selection.runIds].filter(runId => there.has(runId));
  return runIds.length === selection.runIds.size
    ? selection
    : {
        runIds: new Set(runIds),
        anchor: selection.anchor !== null && there.has(selection.anchor) ? selection.anchor : null
      };
}

/**
 * Return the keyboard's position after the rows have changed: the same row if it still exists,
 * otherwise the next one, otherwise the previous one.
 */
export function successor(
  current: string | null,
  before: readonly string[],
  now: readonly string[]
): string | null {
  if (current !== null && now.includes(current)) {
    return current;
  }
  const place = current === null ? -1 : before.indexOf(current);
  if (place >= 0) {
    const there = new Set(now);
    const after = before.slice(place + 1).find(key => there.has(key));
    const ahead = before.slice(0, place).reverse();
    return after ?? ahead.find(key => there.has(key)) ?? now[0] ?? null;
  }
  return now[0] ?? null;
}
