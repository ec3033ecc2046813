import type { ConformanceResult } from '../verdict/result.ts';
import { jsonForm, textForm } from './conformance.ts';
import { githubForm } from './github.ts';
import { htmlForm } from './html/page.ts';
import { junitForm } from './junit.ts';
import { ktapForm } from './ktap.ts';
import { markdownForm } from './markdown.ts';
import { sarifForm } from './sarif.ts';

/**
 * Every form of a result by the name it has in `--report KIND=FILE`; each ends with a line end, and
 * the same result gives the same bytes.
 */
export const forms = {
  text: textForm,
  json: jsonForm,
  junit: junitForm,
  ktap: ktapForm,
  sarif: sarifForm,
  github: githubForm,
  markdown: markdownForm,
  html: htmlForm,
} as const satisfies { readonly [kind: string]: (result: ConformanceResult) => string };

export type FormName = keyof typeof forms;

/** Their names, in the order they are listed. */
export const formNames: readonly FormName[] = Object.keys(forms) as FormName[];
