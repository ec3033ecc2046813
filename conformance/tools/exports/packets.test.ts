import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { file, has, root, scratch, shell, xenmem } from '../../../bin/shell.ts';

const get = readFileSync(join(root, 'fixtures/structs/get-dma-buf.hex'), 'utf8').replace(/\s+/g, '');
const wanted = ['--fail-on', 'never', '--json'];

/** A test that says what it lacks where it cannot run. */
function needs(tools: readonly string[], title: string, test: () => void): void {
  const lacking = tools.filter((tool) => !has(tool));
  it.skipIf(lacking.length > 0)(lacking.length > 0 ? `${title} (skipped: there is no ${lacking.join(', no ')})` : title, test);
}

describe('decode --to', () => {
  file('get.hex', `${get}\n`);
  const json = xenmem(['decode', ...wanted, 'get.hex', 'get.hex']).stdout;

  needs(['tshark'], 'pcapng is read by tshark, by the name of the struct', () => {
    shell('xenmem layout --emit lua > xenmem.lua; xenmem decode --fail-on never --to pcapng get.hex get.hex > out.pcapng');
    const fields = ['-T', 'fields', '-e', 'frame.protocols', '-e', 'xen_get_dma_buf.in.extent_start', '-e', 'xen_get_dma_buf.nr_exchanged'];
    const out = execFileSync('tshark', ['-X', 'lua_script:xenmem.lua', '-r', 'out.pcapng', ...fields], {
      cwd: scratch,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const row = 'exported_pdu:xen_get_dma_buf\t0xffff800012340000\t4\n';
    expect(out).toBe(row + row);
    expect(xenmem(['decode', ...wanted, 'out.pcapng']).stdout).toBe(json);
  });

  needs(['xxd'], 'xxd and c print what xxd and xxd -i print', () => {
    writeFileSync(join(scratch, 'xen_get_dma_buf'), Buffer.from(get, 'hex'));
    const by = (...args: string[]): string => execFileSync('xxd', args, { cwd: scratch, encoding: 'utf8' });
    expect(xenmem(['decode', '--fail-on', 'never', '--to', 'xxd', 'get.hex']).stdout).toBe(by('xen_get_dma_buf'));
    expect(xenmem(['decode', '--fail-on', 'never', '--to', 'c', 'get.hex']).stdout).toBe(by('-i', 'xen_get_dma_buf'));
    shell('xenmem decode --fail-on never --to xxd get.hex get.hex > out.xxd');
    expect(xenmem(['decode', ...wanted, 'out.xxd']).stdout).toBe(json);
  });

  it('json is --json, and both at once with another form is wrong', () => {
    expect(xenmem(['decode', '--fail-on', 'never', '--to', 'json', 'get.hex', 'get.hex']).stdout).toBe(json);
    expect(xenmem(['decode', '--json', '--to', 'xxd', 'get.hex'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'xenmem: --json goes without --to xxd\n',
    });
  });
});

describe('captures that Wireshark makes', () => {
  const dump = `000000 ${get.replace(/../g, '$& ')}\n`;

  needs(['text2pcap', 'editcap'], 'are read as pcapng and as pcap, with a name and without', () => {
    file('dump.txt', dump);
    shell('text2pcap -q -l 147 dump.txt user.pcapng; text2pcap -q -P xen_get_dma_buf dump.txt named.pcapng');
    shell('editcap -F pcap user.pcapng user.pcap; editcap -F nsecpcap named.pcapng named.pcap');
    const json = xenmem(['decode', ...wanted, 'get.hex']).stdout;
    for (const [name, format] of [
      ['user.pcapng', 'pcapng'],
      ['named.pcapng', 'pcapng'],
      ['user.pcap', 'pcap'],
      ['named.pcap', 'pcap'],
    ] as const) {
      expect(xenmem(['decode', ...wanted, name])).toEqual({ code: 0, stdout: json, stderr: `xenmem: note: ${name}: read as ${format}\n` });
    }
  });
});
