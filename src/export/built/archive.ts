import { ascii, type Bytes, FileError } from './bytes.ts';

/** A file in an archive. */
export interface ArchiveMember {
  readonly name: string;
  readonly content: Bytes;
}

/** The first bytes of an archive. */
const archiveMagic: readonly number[] = ascii('!<arch>\n');
const thinMagic: readonly number[] = ascii('!<thin>\n');

/** Is it an archive, of whatever kind? */
export function isArchive(file: Bytes): boolean {
  return file.begins(0, archiveMagic) || file.begins(0, thinMagic);
}

/** Reads the files of an archive as `ar` makes it, in GNU's and in BSD's way, tables left out. */
export function* readArchive(file: Bytes): Generator<ArchiveMember> {
  if (file.begins(0, thinMagic)) throw new FileError('a thin archive: its objects are files of their own: check those');
  let longNames: Bytes | undefined;
  for (let at = archiveMagic.length; at + 60 <= file.length; ) {
    if (!file.begins(at + 58, [0x60, 0x0a])) throw new FileError(`an archive without a member at byte ${at}`);
    const label = text(file, at, 16);
    const size = number(text(file, at + 48, 10), at);
    const content = file.part(at + 60, size, label);
    at += 60 + size + (size % 2);
    if (label === '//') longNames = content;
    else if (label.startsWith('#1/')) {
      const length = number(label.slice(3), at);
      const name = text(content.part(0, length, label), 0, length);
      if (!name.startsWith('__.SYMDEF')) yield { name, content: content.part(length, size - length, name) };
    } else if (label !== '/' && label !== '/SYM64/') yield { name: memberName(label, longNames), content };
  }
}

function memberName(label: string, longNames: Bytes | undefined): string {
  if (/^\/\d+$/.test(label) && longNames) {
    const name = longNames.name(number(label.slice(1), 0));
    return name.split('\n')[0]?.replace(/\/$/, '') ?? label;
  }
  return label.replace(/\/$/, '');
}

/** A text of fixed length, what fills it up left out. */
function text(file: Bytes, at: number, length: number): string {
  let made = '';
  for (let i = 0; i < length; i++) made += String.fromCharCode(file.u8(at + i));
  return made.replaceAll('\0', ' ').trimEnd();
}

function number(digits: string, at: number): number {
  if (!/^\d{1,10}$/.test(digits)) throw new FileError(`an archive whose member before byte ${at} has no size`);
  return Number(digits);
}
