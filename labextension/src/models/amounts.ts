/** Amounts of CPU, memory and GPUs, as people write them and as the server takes them. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IResources } from '../wire';

export type AmountField = 'cpu' | 'memory' | 'gpus';

/** Return an amount as the server takes it; null where it cannot be one. An empty text stays so. */
export function asQuantity(field: AmountField, text: string): string | null {
  const typed = text.trim();
  if (typed === '') {
    return '';
  }
  switch (field) {
    case 'gpus':
      return /^\d+$/.test(typed) ? typed : null;
    case 'cpu':
      return cpuQuantity(typed);
    case 'memory':
      return memoryQuantity(typed);
  }
}

/** Return what is wrong with an amount, as what would be right; empty where nothing is. */
export function amountError(field: AmountField, text: string, trans: TranslationBundle): string {
  if (asQuantity(field, text) !== null) {
    return '';
  }
  switch (field) {
    case 'gpus':
      return trans.__('A whole number, such as 1');
    case 'cpu':
      return trans.__('A number of CPUs, such as 2 or 0.5');
    case 'memory':
      return trans.__('Memory, such as 4 GB');
  }
}

/** Return what a size is: `1 CPU, 2 GiB of memory, 1 GPU`. */
export function sizeOf(size: IResources, trans: TranslationBundle): string {
  const gpus = size.gpus ?? 0;
  const cpus = size.cpu == null ? null : shownCpu(String(size.cpu));
  return [
    cpus !== null && (cpus === '1' ? trans.__('1 CPU') : trans.__('%1 CPUs', cpus)),
    size.memory != null && trans.__('%1 of memory', shownMemory(String(size.memory))),
    gpus > 0 && trans._n('%1 GPU', '%1 GPUs', gpus)
  ]
    .filter(part => part !== false)
    .join(', ');
}

/** `500m` is half a CPU. */
export function shownCpu(quantity: string): string {
  const [, millis] = /^(\d+)m$/.exec(quantity) ?? [];
  return millis === undefined ? quantity : String(Number(millis) / 1000);
}

/** `4Gi` is 4 GiB. */
export function shownMemory(quantity: string): string {
  const [, value, unit] = /^([\d.]+)([KMGTPE]i?|k)$/.exec(quantity) ?? [];
  return value === undefined || unit === undefined ? quantity : `${value} ${unit}B`;
}

function cpuQuantity(typed: string): string | null {
  if (/^\d+m?$/.test(typed)) {
    return typed;
  }
  // jupyter-scheduler makes whole numbers of some fractions: thousandths are safe.
  const decimal = typed.replace(',', '.');
  return /^(\d+\.\d*|\.\d+)$/.test(decimal) ? `${Math.round(1000 * Number(decimal))}m` : null;
}

function memoryQuantity(typed: string): string | null {
  const match = /^(\d+(?:[.,]\d+)?)\s*([kmgt]?)(i?)b?$/i.exec(typed);
  if (match === null) {
    return null;
  }
  const [, value = '', unit = '', binary = ''] = match;
  // Nobody asks for some bytes: a number alone is gibibytes.
  const suffix = unit === '' ? 'Gi' : unit.toUpperCase() + binary.toLowerCase();
  return value.replace(',', '.') + (suffix === 'K' ? 'k' : suffix);
}
