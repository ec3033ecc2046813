import { circles, picture, sourcesIn, wrongArrows } from './imports.ts';

// npm run rooms: the rooms in order, the arrows between them with the number of imports, and what
// is wrong. From a clone.

const sources = sourcesIn(new URL('../../../../', import.meta.url));
const wrong = [...wrongArrows(sources), ...circles(sources).map((circle) => `circle: ${circle}`)];
process.stdout.write(`${[...picture(sources), ...wrong].join('\n')}\n`);
process.exitCode = wrong.length > 0 ? 1 : 0;
