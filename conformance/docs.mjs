#!/usr/bin/env node
// Writes the pages of docs/ that say what the tables say. Needs the build: npm run docs.
import { writeFileSync } from 'node:fs';
import { pages } from '../dist/src/report/docs.js';

for (const [file, page] of Object.entries(pages)) writeFileSync(new URL(`../docs/${file}`, import.meta.url), page());
