/** Which runs are selected in the panel, and where the keyboard is: as in any list. */

export interface ISelection {
  readonly runIds: ReadonlySet<string>;
  /** Where a range with shift begins. */
  readonly anchor: string | null;
}

export const NOTHING_SELECTED: ISelection = { runIds: new Set(), anchor: null };

/** Return the selection after a click on `runId`, one of `shown` in the order of the screen. */
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

/** Return the selection of all that is shown. */
export function selectAll(selection: ISelection, shown: readonly string[]): ISelection {
  return { runIds: new Set(shown), anchor: selection.anchor ?? shown[0] ?? null };
}

/** Return the selection without what is not there any more; the same object if all is. */
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
 * Return where the keyboard is once the rows have changed: where it was, if that is still there,
 * else at the row that came after it, else at the one before.
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
