import { ascii, type Bytes, FileError } from './bytes.ts';

/** Characters of a text that are looked at to tell what it is. */
const looked = 8192;

const kinds: readonly { readonly first: readonly number[]; readonly says: string }[] = [
  { first: ascii('MZ'), says: 'a program for Windows or EFI: check the ELF that it was made of (vmlinux, xen-syms)' },
  { first: [0xcf, 0xfa, 0xed, 0xfe], says: 'a Mach-O object: build for an ELF target' },
  { first: [0x42, 0x43, 0xc0, 0xde], says: 'LLVM bitcode: check what is linked from it, built with -g' },
  { first: ascii('07070'), says: 'a cpio archive: unpack it, and check what is in it' },
  { first: ascii('PK'), says: 'a zip archive: unpack it, and check what is in it' },
  { first: [0x27, 0x05, 0x19, 0x56], says: 'a U-Boot uImage: dumpimage -T kernel -o OUT FILE, and check that' },
  { first: [0xd0, 0x0d, 0xfe, 0xed], says: 'a device tree or FIT image: dumpimage, and check the kernel in it' },
];

/** What a file without types seems to be, and the way to a check of what it stands for. */
export function refuseOther(file: Bytes): FileError {
  const known = kinds.find(({ first }) => file.begins(0, first));
  if (known) return new FileError(known.says);
  const text = textOf(file);
  if (text !== undefined && /^(0x)?[0-9a-f]{8,16} [A-Za-z?] \S/.test(text)) {
    return new FileError(
      'a System.map or other list of symbols, which has no types: check the vmlinux it was made with, or /sys/kernel/btf/vmlinux',
    );
  }
  if (text !== undefined && /^\s*(#\s*(include|if|ifndef|define|pragma)\b|\/\*|\/\/|struct\b|typedef\b)/m.test(text)) {
    return new FileError(
      'a header or other source, whose layout only a compiler knows: layout --emit c --assert (or rust) writes assertions to compile' +
        ' after it; or compile it with -g and check the object',
    );
  }
  return new FileError(
    'no types in it: neither an ELF with BTF or debug information, nor an archive of such, nor the image of a kernel with CONFIG_DEBUG_INFO_BTF',
  );
}

function textOf({ data }: Bytes): string | undefined {
  let text = '';
  for (const byte of data.subarray(0, looked)) {
    if (byte === 0 || byte === 0x7f || (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 13)) return undefined;
    text += String.fromCharCode(byte);
  }
  return text;
}
