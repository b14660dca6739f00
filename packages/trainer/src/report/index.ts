export * from './render.js';
export * from './write.js';
