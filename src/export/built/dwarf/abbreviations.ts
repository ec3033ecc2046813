import { FileError } from '../bytes.ts';
import { Cursor } from './cursor.ts';
import { FORM, type Shape, sizeOfForm } from './forms.ts';

/**
 * An attribute that entries of an abbreviation have; `constant` is the value of the form that has
 * it here.
 */
export interface Attribute {
  readonly name: number;
  readonly form: number;
  readonly constant: number;
}

/** What entries with one code have. */
export interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  readonly attributes: readonly Attribute[];
  /** Bytes of the attributes where that is always the same. */
  readonly size: number | undefined;
}

/** Abbreviations by code: compilers number them from 1 on, others may not. */
export interface Abbreviations {
  readonly dense: readonly (Abbreviation | undefined)[];
  readonly others: ReadonlyMap<number, Abbreviation>;
}

/**
 * Reads tables of abbreviations, each once. Tables that overlap so that reading them takes for ever
 * are an error: all in all four times the section is read.
 */
export class AbbreviationTables {
  readonly #data: Uint8Array;
  readonly #known = new Map<string, Abbreviations>();
  #left: number;

  constructor(data: Uint8Array) {
    this.#data = data;
    this.#left = 4 * data.length + 1024;
  }

  table(at: number, shape: Shape): Abbreviations {
    const key = `${at} ${shape.version} ${shape.address} ${shape.offset}`;
    const known = this.#known.get(key);
    if (known) return known;
    const cursor = new Cursor(this.#data, '.debug_abbrev', at);
    const made = read(cursor, shape, this.#left);
    this.#left -= cursor.at - at;
    this.#known.set(key, made);
    return made;
  }
}

function read(cursor: Cursor, shape: Shape, most: number): Abbreviations {
  const dense: (Abbreviation | undefined)[] = [undefined];
  const others = new Map<number, Abbreviation>();
  const start = cursor.at;
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const tag = cursor.uleb();
    const children = cursor.u8() !== 0;
    const attributes: Attribute[] = [];
    let size: number | undefined = 0;
    for (;;) {
      const name = cursor.uleb();
      const form = cursor.uleb();
      if (name === 0 && form === 0) break;
      const constant = form === FORM.implicit_const ? cursor.sleb() : 0;
      attributes.push({ name, form, constant });
      const bytes = sizeOfForm(form, shape);
      size = size === undefined || bytes === undefined ? undefined : size + bytes;
    }
    if (cursor.at - start > most) throw new FileError('.debug_abbrev: its tables overlap');
    const made = { tag, children, attributes, size };
    if (code === dense.length) dense.push(made);
    else if (code > dense.length && !others.has(code)) others.set(code, made);
  }
  return { dense, others };
}

/** The abbreviation with a code. */
export function abbreviationOf({ dense, others }: Abbreviations, code: number, { what, at }: Cursor): Abbreviation {
  const found = code < dense.length ? dense[code] : others.get(code);
  if (!found) throw new FileError(`${what}: no abbreviation has code ${code}, before byte ${at}`);
  return found;
}
