/** Columns of every view for people. */
export const columns = 100;

/**
 * A text in lines of at most 100 columns: the first after `head`, the others indented as far. A
 * word that is longer stays whole.
 */
export function wrapped(head: string, text: string, indent: number = head.length): string[] {
  const lines: string[] = [];
  let current = head;
  let empty = true;
  for (const word of text.split(' ')) {
    if (!empty && current.length + 1 + word.length > columns) {
      lines.push(current);
      current = ' '.repeat(indent);
      empty = true;
    }
    current += empty ? word : ` ${word}`;
    empty = false;
  }
  return [...lines, current];
}
