import type { Argv } from 'yargs';
import { closest } from '../closest.ts';
import { UsageError } from '../exit.ts';
import { line } from '../io.ts';

interface Options {
  readonly shell?: readonly string[];
}

const shells = ['bash', 'zsh'];

export function options(args: Argv): Argv {
  return args
    .positional('shell', {
      type: 'string',
      array: true,
      describe: 'bash or zsh (default: the one in $SHELL)',
      defaultDescription: '$SHELL',
    })
    .example('$0 completion bash >> ~/.bashrc', '')
    .example('$0 completion zsh >> ~/.zshrc', '');
}

export async function run({ shell = [] }: Options): Promise<number[]> {
  if (shell.length > 1) throw new UsageError('completion takes one shell');
  const name = shell[0] ?? (process.env['SHELL']?.endsWith('zsh') ? 'zsh' : 'bash');
  if (!shells.includes(name)) throw new UsageError(`unknown shell ${JSON.stringify(name)}${closest(name, shells)} (known: bash, zsh)`);
  await line(name === 'zsh' ? zsh : bash);
  return [];
}

// yargs answers with or without descriptions by what $SHELL says, so each script says it. File
// names where nothing else fits.
const bash = `_xenmem() {
  local word="\${COMP_WORDS[COMP_CWORD]}"
  mapfile -t COMPREPLY < <(compgen -W "$(SHELL=bash xenmem --get-yargs-completions "\${COMP_WORDS[@]:0:COMP_CWORD+1}" 2>/dev/null)" -- "$word")
}
complete -o bashdefault -o default -F _xenmem xenmem`;

const zsh = `#compdef xenmem
_xenmem() {
  local -a found
  found=("\${(@f)$(SHELL=zsh xenmem --get-yargs-completions "\${(@)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then _describe xenmem found; else _default; fi
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _xenmem "$@"; else compdef _xenmem xenmem; fi`;
