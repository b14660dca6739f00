export { buildIndex, type IndexOptions, type InvertedFile } from './invertedFile.js';
export type { RecallFigure } from './recall.js';
export { searchIndex, type IndexSearchOptions, type IndexSearchResult } from './searchIndex.js';
