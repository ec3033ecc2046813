import { clipped, printable } from '../../../src/text/style.ts';

/** Text that is HTML already. Only `html` makes it from other text, and escapes that on the way. */
export interface Markup {
  readonly markup: string;
}

export type Content = Markup | string | number | bigint | undefined | readonly Content[];

/** Longest text from outside in one place. */
const longest = 4000;

/**
 * A template whose values are escaped unless they are markup; lists are put together, `undefined`
 * is nothing.
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return { markup: parts.map((part, i) => (i === 0 ? part : written(values[i - 1]) + part)).join('') };
}

/** Markup that a template cannot make: the constant texts of the page. */
export function verbatim(markup: string): Markup {
  return { markup };
}

/** A text from outside that must not be shortened, as a command to be copied. */
export function whole(text: string): Markup {
  return { markup: escaped(printable(text)) };
}

function written(value: Content): string {
  if (value === undefined) return '';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return escaped(clipped(printable(value), longest));
  return 'markup' in value ? value.markup : value.map(written).join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}
