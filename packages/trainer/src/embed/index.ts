export type { LeftOutImage } from './leavingOut.js';
export { embedToFile, type EmbedToFileOptions, type EmbedToFileResult } from './embedToFile.js';
