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

/** What a page consists of; the hashes are the base64 SHA-256 of its style and script. */
export interface Page {
  readonly title: string;
  readonly style: string;
  readonly styleHash: string;
  readonly script?: { readonly text: string; readonly hash: string };
  readonly body: Markup;
}

/**
 * A page that asks nothing of a network: the policy in its head lets this style and this script run
 * and nothing else, so text from outside could not even if an escape were forgotten.
 */
export function pageOf({ title, style, styleHash, script, body }: Page): string {
  const scripts = script ? `script-src '${script.hash}'; ` : '';
  const policy = `default-src 'none'; style-src '${styleHash}'; ${scripts}base-uri 'none'; form-action 'none'`;
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${verbatim(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${verbatim(style)}</style>
</head>
<body>
${body}
${
  script &&
  html`<script>${verbatim(script.text)}</script>
`
}</body>
</html>
`.markup;
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
