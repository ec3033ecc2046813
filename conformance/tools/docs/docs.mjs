#!/usr/bin/env node
// Writes the pages of docs/ that say what the tables and the docstrings say, and the tables in
// pages that are written by hand. Needs the build: npm run docs.
import { readFileSync, writeFileSync } from 'node:fs';
import { pages, tables, withTables } from '../../../dist/conformance/tools/docs/pages.js';
import { roomsTable } from '../../../dist/conformance/tools/rooms/rooms.js';
import { apiPage } from './api.mjs';

const path = (file) => new URL(`../../../docs/${file}`, import.meta.url);
const patch = readFileSync(new URL('../../../src/rules/law/dma-buf.h', import.meta.url), 'utf8');

for (const [file, page] of Object.entries({ ...pages, 'api.md': apiPage })) writeFileSync(path(file), page(patch));
const rooms = { 'architecture.md': { rooms: roomsTable } };
for (const [file, made] of Object.entries({ ...tables, ...rooms })) {
  writeFileSync(path(file), withTables(file, readFileSync(path(file), 'utf8'), made));
}
