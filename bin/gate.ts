import { type GateCase, type GateFormName, gateFormNames, gateForms } from '../conformance/report/gate.ts';
import { writable, write } from './deliver.ts';
import { UsageError } from './exit.ts';
import { bytes } from './io.ts';

/**
 * Looks at the `--report` options before anything is read; answers what delivers the cases in the
 * end.
 */
export function gateReports(gate: string, texts: readonly string[]): (cases: readonly GateCase[]) => Promise<void> {
  const reports = texts.map(reportOf);
  for (const { file } of reports) if (file !== '-') writable('--report', file);
  return async (cases) => {
    for (const { kind, file } of reports) {
      const text = gateForms[kind]({ gate, cases });
      if (file === '-') await bytes(text);
      else write(file, text);
    }
  };
}

/** Does a report take the place of what is printed? */
export function reportsOnStdout(texts: readonly string[]): boolean {
  const onStdout = texts.map(reportOf).filter(({ file }) => file === '-');
  if (onStdout.length > 1) throw new UsageError('only one report can go to stdout');
  return onStdout.length > 0;
}

function reportOf(text: string): { kind: GateFormName; file: string } {
  const [kind = '', ...rest] = text.split('=');
  const name = gateFormNames.find((form) => form === kind);
  const file = rest.join('=');
  if (name === undefined || file === '') {
    throw new UsageError(`--report ${JSON.stringify(text)}: expected KIND=FILE, with KIND one of ${gateFormNames.join(', ')}`);
  }
  return { kind: name, file };
}
