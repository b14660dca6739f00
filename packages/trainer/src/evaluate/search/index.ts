export { cosineBlocks, type CosineBlock, type CosineOptions } from './cosineBlocks.js';
export { searchGallery, type SearchResult } from './exactSearch.js';
export type { Features } from './features.js';
export * from './approximate/index.js';
