#!/usr/bin/env node
// Writes the pages of docs/ that say what the tables and the docstrings say. Needs the build: npm run docs.
import { writeFileSync } from 'node:fs';
import { pages } from '../dist/src/report/docs.js';
import { apiPage } from './api.mjs';

for (const [file, page] of Object.entries({ ...pages, 'api.md': apiPage }))
  writeFileSync(new URL(`../docs/${file}`, import.meta.url), page());
