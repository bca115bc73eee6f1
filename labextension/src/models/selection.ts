/** Which runs are selected in the panel: click, ctrl and shift as in any list. */

export interface ISelection {
  readonly jobIds: ReadonlySet<string>;
  /** Where a range with shift begins. */
  readonly anchor: string | null;
}

export const NOTHING_SELECTED: ISelection = { jobIds: new Set(), anchor: null };

/** Return the selection after a click on `jobId`, one of `shown` in the order of the screen. */
export function select(
  selection: ISelection,
  jobId: string,
  keys: { readonly toggle: boolean; readonly range: boolean },
  shown: readonly string[]
): ISelection {
  if (keys.range && selection.anchor !== null && shown.includes(selection.anchor)) {
    const [from, to] = [shown.indexOf(selection.anchor), shown.indexOf(jobId)];
    const range = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
    return { jobIds: new Set(range), anchor: selection.anchor };
  }
  if (keys.toggle) {
    const jobIds = new Set(selection.jobIds);
    if (!jobIds.delete(jobId)) {
      jobIds.add(jobId);
    }
    return { jobIds, anchor: jobId };
  }
  return { jobIds: new Set([jobId]), anchor: jobId };
}
