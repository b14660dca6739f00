export { embedToFile, type EmbedToFileOptions, type EmbedToFileResult } from './embedToFile.js';
