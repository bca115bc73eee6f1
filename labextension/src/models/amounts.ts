/** Amounts of CPU, memory and GPUs, as people write them and as the server takes them. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IResources } from '../wire';

export const AMOUNTS = ['cpu', 'memory', 'gpus'] as const;
export type AmountField = (typeof AMOUNTS)[number];

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
      return trans.__('Enter a whole number, such as 1');
    case 'cpu':
      return trans.__('Enter a number of CPUs, such as 2 or 0.5');
    case 'memory':
      return trans.__('Enter an amount, such as 4 GiB');
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

/**
 * Return an amount that the server took as people read it: memory in GiB or MiB, rounded where it
 * was asked for in GB.
 */
export function shownAmount(field: AmountField, quantity: string): string {
  switch (field) {
    case 'gpus':
      return quantity;
    case 'cpu':
      return shownCpu(quantity);
    case 'memory':
      return shownMemory(quantity);
  }
}

const DECIMAL: readonly string[] = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/** `500m` is half a CPU. */
function shownCpu(quantity: string): string {
  const [, millis] = /^(\d+)m$/.exec(quantity) ?? [];
  return millis === undefined ? quantity : String(Number(millis) / 1000);
}

/** `4Gi` is 4 GiB, a number alone is bytes, and `4G` is shown as the 3.73 GiB that it is. */
function shownMemory(quantity: string): string {
  const [, value, unit = '', binary] = /^([\d.]+)([KMGTPE]?|k)(i?)$/.exec(quantity) ?? [];
  if (value === undefined) {
    return quantity;
  }
  if (binary === 'i') {
    return `${value} ${unit}iB`;
  }
  const bytes = Number(value) * 1000 ** DECIMAL.indexOf(unit.toUpperCase());
  const power = bytes < 1024 ? 0 : Math.min(DECIMAL.length - 1, Math.floor(Math.log2(bytes) / 10));
  const shown = Math.round((100 * bytes) / 1024 ** power) / 100;
  return power === 0 ? `${shown} B` : `${shown} ${DECIMAL[power] ?? ''}iB`;
}

function cpuQuantity(typed: string): string | null {
  if (/^\d+m?$/.test(typed)) {
    return typed;
  }
  // jupyter-scheduler makes whole numbers of some fractions: thousandths are safe.
  const decimal = typed.replace(',', '.');
  if (!/^(\d+\.\d*|\.\d+)$/.test(decimal)) {
    return null;
  }
  const thousandths = Math.round(1000 * Number(decimal));
  // Too little to be one: the server says so of what was typed.
  return thousandths === 0 ? decimal : `${thousandths}m`;
}

function memoryQuantity(typed: string): string | null {
  const [, bytes] = /^(\d+)\s*b$/i.exec(typed) ?? [];
  if (bytes !== undefined) {
    return bytes;
  }
  const match = /^(\d+(?:[.,]\d+)?)\s*([kmgtpe]?)(i?)b?$/i.exec(typed);
  if (match === null) {
    return null;
  }
  const [, value = '', unit = '', binary = ''] = match;
  // Nobody types a number of bytes: a number alone is gibibytes.
  const suffix = unit === '' ? 'Gi' : unit.toUpperCase() + binary.toLowerCase();
  return value.replace(',', '.') + (suffix === 'K' ? 'k' : suffix);
}
